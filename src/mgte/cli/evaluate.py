"""`mgte evaluate`: a model on retrieval collections, beside BM25."""

import argparse
import json
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from mgte.cli.options import add_json_option, add_load_options, load_settings, positive
from mgte.cli.options import progress_option as add_progress_option
from mgte.cli.output import say, write_json, write_table
from mgte.errors import DataError, MgteError
from mgte.text import replace_text

if TYPE_CHECKING:
    from mgte.evaluate import Mode, RetrievalConfig, RetrievalResult
    from mgte.inference import Embedder, Reranker

DESCRIPTION = (
    "Rank the documents of BEIR folders for their queries, and measure the rankings (nDCG@10): "
    "dense, sparse, hybrid and reranked as far as the models can, and BM25. Every query is "
    "compared with every document. Needs the extra mgte[eval]."
)
EXAMPLE = (
    "  mgte evaluate mgte-nano --data scifact nfcorpus --split test --out results.json\n"
    "  mgte evaluate MODEL --data xquad --split de fr --document-ids '{split}-*'"
)
# As for every error that the user can fix.
FAILED = 2
COLUMNS = ("dense", "sparse", "hybrid", "reranked", "bm25")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("model", metavar="MODEL", help="folder, hub id or bundled name")
    parser.add_argument(
        "--data",
        nargs="+",
        required=True,
        metavar="FOLDER",
        help="folders with corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv, also compressed",
    )
    parser.add_argument(
        "--split", nargs="+", default=["test"], help="judgements; a folder without them is an error"
    )
    parser.add_argument("--reranker", help="folder, hub id or bundled name of a reranker")
    parser.add_argument("--out", metavar="FILE", help="JSON with all metrics, also per query")
    what = parser.add_argument_group("what is searched, and how")
    what.add_argument(
        "--modes", nargs="+", choices=COLUMNS, default=[], help="columns (default: all possible)"
    )
    what.add_argument(
        "--document-ids",
        default="*",
        metavar="PATTERN",
        help="pattern of the document ids that are searched; {split} stands for the split",
    )
    what.add_argument(
        "--own-documents",
        choices=("same-text", "same-id", "none"),
        default="same-text",
        help="documents that are the query itself and are not ranked for it: those of its id and "
        "text, of its id (as BEIR's scripts do), or none (%(default)s)",
    )
    what.add_argument("--max-queries", type=positive, default=0, metavar="N")
    what.add_argument(
        "--max-documents", type=positive, default=0, metavar="N", help="beside the judged ones"
    )
    what.add_argument("--dim", type=positive, metavar="N", help="leading dimensions to use")
    what.add_argument(
        "--sparse-weight",
        type=float,
        default=0.1,
        metavar="W",
        help="hybrid score = dense + W * sparse (%(default)s)",
    )
    what.add_argument(
        "--sparse-scale",
        choices=("raw", "query"),
        default="raw",
        help="query: sparse scores are divided by the query's largest (%(default)s)",
    )
    what.add_argument(
        "--missing",
        choices=("zero", "computed"),
        default="zero",
        help="score of a document that one of the two searches did not find (%(default)s)",
    )
    what.add_argument("--top-k", type=positive, default=1000, metavar="N", help="(%(default)s)")
    what.add_argument(
        "--rerank-depth", type=positive, default=100, metavar="N", help="(%(default)s)"
    )
    what.add_argument(
        "--rerank-blend",
        type=float,
        default=0.0,
        metavar="B",
        help="share of the first ranking in the reranked one (%(default)s)",
    )
    what.add_argument("--max-tokens-per-batch", type=positive, metavar="N")
    add_progress_option(parser)
    add_json_option(parser, "one line per collection")
    add_load_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print one row per collection."""
    out = None if arguments.out is None else Path(arguments.out)
    if out is not None and not out.resolve().parent.is_dir():
        raise DataError(f"{out}: no such folder, expected one to write in")
    from mgte.inference import Embedder, Reranker

    config = retrieval_config(arguments)
    embedder = Embedder.load(arguments.model, **load_settings(arguments))
    reranker = None
    if arguments.reranker is not None:
        reranker = Reranker.load(arguments.reranker, **load_settings(arguments))
    results: list[RetrievalResult] = []
    num_failed = 0
    try:
        for folder, split in product(arguments.data, arguments.split):
            try:
                result = measure(folder, split, embedder, reranker, arguments, config)
            except MgteError as error:
                say(f"error: {folder} ({split}): {error}")
                num_failed += 1
                continue
            results.append(result)
            tell(result, arguments)
            if out is not None:
                write_results(out, results)
    finally:
        # What is done stays done, whatever ends the program.
        if not arguments.json and results:
            print_table(results)
    if num_failed:
        say(f"{num_failed} of {num_failed + len(results)} collections failed")
    return FAILED if num_failed else 0


def tell(result: "RetrievalResult", arguments: argparse.Namespace) -> None:
    """What was searched, and with --json what was measured."""
    own = result.num_own_documents
    left_out = f", {own:,} queries not ranked for themselves" if own else ""
    say(
        f"{result.name}: {result.num_queries:,} queries, {result.num_documents:,} "
        f"documents ({result.num_documents_cut:,} cut){left_out}, "
        f"{sum(result.seconds.values()):.1f} s"
    )
    if arguments.json:
        write_json(result.to_dict(per_query=False))


def write_results(out: Path, results: "list[RetrievalResult]") -> None:
    """All results so far; a reader, or a kill, never meets half a file."""
    content = json.dumps([result.to_dict() for result in results], ensure_ascii=False, indent=1)
    replace_text(out, content + "\n")


def measure(
    folder: str,
    split: str,
    embedder: "Embedder",
    reranker: "Reranker | None",
    arguments: argparse.Namespace,
    config: "RetrievalConfig",
) -> "RetrievalResult":
    """One collection."""
    from mgte.evaluate import evaluate_retrieval, read_collection

    collection = read_collection(
        folder,
        split=split,
        max_queries=arguments.max_queries,
        max_documents=arguments.max_documents,
        document_ids=arguments.document_ids.replace("{split}", split),
        own_documents=arguments.own_documents,
    )
    possible: list[Mode] = ["dense", "bm25"]
    if embedder.has_sparse:
        possible += ["sparse", "hybrid"]
    if reranker is not None:
        possible += ["reranked"]
    return evaluate_retrieval(
        embedder,
        collection,
        reranker=reranker,
        modes=arguments.modes or possible,
        config=config,
    )


def retrieval_config(arguments: argparse.Namespace) -> "RetrievalConfig":
    """How collections are searched, as the options say."""
    from mgte.evaluate import HybridConfig, RetrievalConfig

    return RetrievalConfig(
        hybrid=HybridConfig(
            sparse_weight=arguments.sparse_weight,
            sparse_scale=arguments.sparse_scale,
            missing=arguments.missing,
        ),
        dim=arguments.dim,
        top_k=arguments.top_k,
        rerank_depth=arguments.rerank_depth,
        rerank_blend=arguments.rerank_blend,
        max_tokens_per_batch=arguments.max_tokens_per_batch,
        show_progress=arguments.progress,
    )


def print_table(results: "list[RetrievalResult]") -> None:
    """NDCG@10 by collection and way of ranking, and the mean of several collections."""
    columns = [mode for mode in COLUMNS if any(mode in result.modes for result in results)]
    rows = [(result.name, *(result.metrics.get(mode) for mode in columns)) for result in results]
    if len(results) > 1:
        means = [sum(r.metrics[mode] for r in results) / len(results) for mode in columns]
        rows.append(("mean", *means))
    write_table(("nDCG@10", *columns), rows)
