"""`mgte embed`: texts to dense vectors and sparse token weights."""

import argparse
import time
from typing import TYPE_CHECKING, Literal

from mgte.cli.options import (
    DEFAULT_EMBEDDER,
    add_json_option,
    add_load_options,
    load_settings,
    positive,
    progress_option,
)
from mgte.cli.output import report_truncation, say, write_json
from mgte.cli.reading import add_reading_options, read_texts

if TYPE_CHECKING:
    from mgte.inference import Embedder
    from mgte.vectors import Embeddings

DESCRIPTION = (
    "Turn texts into dense vectors, sparse token weights, or both from one pass. Reads text (one "
    "per line), JSONL, CSV, TSV, Parquet or standard input; writes .npz, .parquet or .jsonl, and "
    "without --out JSON lines to standard output."
)
EXAMPLE = "  mgte embed articles.jsonl --out vectors.npz\n  mgte embed - --dim 128 < questions.txt"

Side = Literal["query", "document"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_reading_options(parser)
    parser.add_argument(
        "--model", default=DEFAULT_EMBEDDER, help="folder, hub id or bundled name (%(default)s)"
    )
    parser.add_argument("--out", metavar="FILE", help="vectors: .npz, .parquet or .jsonl")
    what = parser.add_argument_group("what is computed")
    what.add_argument(
        "--side",
        choices=("query", "document"),
        default="document",
        help="whose prompt is put before the texts, if the model has prompts (%(default)s)",
    )
    what.add_argument(
        "--prompt", help="name of one of the model's prompts, or a text to put before"
    )
    what.add_argument("--sparse", action="store_true", help="token weights as well")
    what.add_argument("--no-dense", action="store_true", help="no dense vectors")
    what.add_argument("--dim", type=positive, metavar="N", help="leading dimensions to keep")
    what.add_argument(
        "--no-normalize", action="store_true", help="dense vectors as they are, not of length 1"
    )
    what.add_argument(
        "--overflow",
        choices=("truncate", "error"),
        default="truncate",
        help="what happens to texts longer than the model takes (%(default)s)",
    )
    what.add_argument("--max-tokens-per-batch", type=positive, metavar="N")
    progress_option(parser)
    add_json_option(parser, "a summary")
    add_load_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Embed the texts and write the vectors."""
    from mgte.text import check_output, write_embeddings

    if arguments.out is not None:
        check_output(arguments.out)
    source = read_texts(arguments)
    from mgte.inference import Embedder

    embedder = Embedder.load(arguments.model, **load_settings(arguments))
    start = time.perf_counter()
    vectors = encode(embedder, source.texts, arguments)
    seconds = time.perf_counter() - start
    write_embeddings(arguments.out, vectors, source.ids, embedder.tokenizer)
    report_truncation(
        vectors.is_truncated, vectors.count_dropped, source.names, embedder.max_length
    )
    num_tokens = int(vectors.num_tokens.sum())
    if arguments.out is not None:
        say(
            f"{len(vectors):,} texts, {num_tokens:,} tokens, {seconds:.2f} s "
            f"({num_tokens / max(seconds, 1e-9):,.0f} tokens/s) -> {arguments.out}"
        )
    if arguments.json and arguments.out is not None:
        write_json(
            {
                "model": arguments.model,
                "out": arguments.out,
                "num_texts": len(vectors),
                "num_tokens": num_tokens,
                "num_truncated": int(vectors.is_truncated.sum()),
                "dim": None if vectors.dense is None else vectors.dense.shape[1],
                "has_sparse": vectors.sparse is not None,
                "seconds": round(seconds, 3),
            }
        )
    return 0


def encode(embedder: "Embedder", texts: list[str], arguments: argparse.Namespace) -> "Embeddings":
    """The texts with the prompt of their side."""
    run_side = embedder.encode_query if arguments.side == "query" else embedder.encode_document
    return run_side(
        texts,
        prompt=arguments.prompt,
        dense=not arguments.no_dense,
        sparse=arguments.sparse,
        dim=arguments.dim,
        normalize=not arguments.no_normalize,
        overflow=arguments.overflow,
        max_tokens_per_batch=arguments.max_tokens_per_batch,
        show_progress=arguments.progress,
    )
