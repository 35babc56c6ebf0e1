"""`mgte rerank`: score documents against a query, or query-document pairs."""

import argparse
from typing import TYPE_CHECKING

from mgte.cli.options import (
    DEFAULT_RERANKER,
    add_json_option,
    add_load_options,
    load_settings,
    positive,
    progress_option,
)
from mgte.cli.output import report_truncation, snippet, write_json, write_table
from mgte.cli.reading import Source, add_reading_options, read_pairs, read_texts
from mgte.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

    from mgte.inference import Reranker

DESCRIPTION = (
    "Score documents against --query, best first, or, without --query, the query-document pairs of "
    "a file, in its order. Scores are between 0 and 1."
)
EXAMPLE = (
    '  mgte rerank articles.jsonl --query "why are there tides" --top-k 5\n'
    "  mgte rerank pairs.jsonl --model Alibaba-NLP/gte-reranker-modernbert-base --json"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_reading_options(parser)
    parser.add_argument(
        "--model",
        default=DEFAULT_RERANKER,
        help="folder, hub id or bundled name of a reranker (%(default)s)",
    )
    parser.add_argument("--query", help="the query that every document is scored against")
    parser.add_argument("--top-k", type=positive, metavar="N", help="print the best N only")
    parser.add_argument("--raw", action="store_true", help="logits instead of scores in 0..1")
    parser.add_argument(
        "--overflow",
        choices=("truncate", "error"),
        default="truncate",
        help="what happens to pairs longer than the model takes (%(default)s)",
    )
    parser.add_argument("--max-tokens-per-batch", type=positive, metavar="N")
    progress_option(parser)
    add_json_option(parser, "one line per pair")
    add_load_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print scores."""
    if arguments.query is None:
        if arguments.top_k is not None:
            raise ConfigError("--top-k: needs --query, as pairs are printed in their order")
        source, queries = read_pairs(arguments)
    else:
        source = read_texts(arguments)
        queries = [arguments.query] * len(source.texts)
    from mgte.inference import Reranker

    reranker = Reranker.load(arguments.model, **load_settings(arguments))
    scores = score(reranker, queries, source, arguments)
    order = list(range(len(scores)))
    if arguments.query is not None:
        order = (-scores).argsort(kind="stable")[: arguments.top_k].tolist()
    if arguments.json:
        for index in order:
            write_json(
                {
                    "id": source.ids[index],
                    "index": index,
                    "score": scores[index],
                    "query": queries[index],
                    "document": source.texts[index],
                }
            )
    else:
        rows = [(float(scores[i]), source.ids[i], snippet(source.texts[i])) for i in order]
        write_table(("score", "id", "document"), rows)
    return 0


def score(
    reranker: "Reranker", queries: list[str], source: Source, arguments: argparse.Namespace
) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    """One score per pair, and a word about pairs that were cut."""
    import numpy as np

    if reranker.model.head_config.num_labels != 1:
        raise ConfigError(
            f"{arguments.model}: gives {reranker.model.head_config.num_labels} labels per pair, "
            "expected a reranker, which gives 1"
        )
    scored = reranker.score_pairs(
        list(zip(queries, source.texts, strict=True)),
        overflow=arguments.overflow,
        max_tokens_per_batch=arguments.max_tokens_per_batch,
        show_progress=arguments.progress,
    )
    report_truncation(scored.is_truncated, scored.count_dropped, source.names, reranker.max_length)
    logits = scored.logits[:, 0].astype(np.float64)
    scores = logits if arguments.raw else 1 / (1 + np.exp(-np.clip(logits, -80, 80)))
    return scores.astype(np.float32)
