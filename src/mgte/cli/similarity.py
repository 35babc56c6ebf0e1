"""`mgte similarity`: compare texts with each other."""

import argparse
from typing import TYPE_CHECKING

from mgte.cli.options import (
    DEFAULT_EMBEDDER,
    add_json_option,
    add_load_options,
    load_settings,
    positive,
)
from mgte.cli.output import report_truncation, snippet, write_json, write_table
from mgte.errors import DataError

if TYPE_CHECKING:
    from mgte.inference import Embedder

DESCRIPTION = (
    "Compare a text with others: cosine of the dense vectors, and with --sparse-weight the hybrid "
    "score of models that give token weights."
)
EXAMPLE = '  mgte similarity "a ripe tomato" "a red vegetable" "a fast car"'


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("query", metavar="TEXT", help="the text that is compared")
    parser.add_argument("documents", metavar="TEXT", nargs="+", help="what it is compared with")
    parser.add_argument(
        "--model", default=DEFAULT_EMBEDDER, help="folder, hub id or bundled name (%(default)s)"
    )
    parser.add_argument(
        "--matrix", action="store_true", help="compare each text with each, without prompts"
    )
    parser.add_argument(
        "--sparse-weight",
        type=float,
        default=0.0,
        metavar="W",
        help="weight of the token-weight score beside the dense one (0; GTE uses 0.3)",
    )
    parser.add_argument("--dim", type=positive, metavar="N", help="leading dimensions to use")
    parser.add_argument("--sort", action="store_true", help="highest score first")
    add_json_option(parser, "the scores")
    add_load_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print one score per text, or the matrix of all."""
    if arguments.matrix and arguments.sparse_weight:
        raise DataError("--sparse-weight: not possible together with --matrix")
    from mgte.inference import Embedder

    embedder = Embedder.load(arguments.model, **load_settings(arguments))
    if arguments.matrix:
        print_matrix(embedder, arguments)
    else:
        print_scores(embedder, arguments)
    return 0


def print_scores(embedder: "Embedder", arguments: argparse.Namespace) -> None:
    """One score per document."""
    documents, weight = arguments.documents, arguments.sparse_weight
    queries = embedder.encode_query([arguments.query], dim=arguments.dim, sparse=weight != 0)
    vectors = embedder.encode_document(documents, dim=arguments.dim, sparse=weight != 0)
    scores = embedder.similarity(queries, vectors)[0]
    if queries.sparse is not None and vectors.sparse is not None:
        scores = scores + weight * queries.sparse.dot(vectors.sparse)[0]
    for part, names in ((queries, ["the first text"]), (vectors, names_of(documents))):
        report_truncation(part.is_truncated, part.count_dropped, names, embedder.max_length)
    order = list(range(len(documents)))
    if arguments.sort:
        order.sort(key=lambda index: -scores[index])
    if arguments.json:
        ranked = [{"index": i, "score": scores[i], "text": documents[i]} for i in order]
        write_json({"query": arguments.query, "scores": ranked})
    else:
        write_table(("score", "text"), [(float(scores[i]), snippet(documents[i])) for i in order])


def print_matrix(embedder: "Embedder", arguments: argparse.Namespace) -> None:
    """Scores of all pairs."""
    texts = [arguments.query, *arguments.documents]
    vectors = embedder.encode(texts, dim=arguments.dim)
    report_truncation(
        vectors.is_truncated, vectors.count_dropped, names_of(texts), embedder.max_length
    )
    matrix = embedder.similarity(vectors, vectors)
    if arguments.json:
        write_json({"texts": texts, "scores": matrix})
        return
    numbers = [str(number) for number in range(1, len(texts) + 1)]
    rows = [
        (number, *row.tolist(), snippet(text))
        for number, row, text in zip(numbers, matrix, texts, strict=True)
    ]
    write_table(("", *numbers, "text"), rows)


def names_of(texts: list[str]) -> list[str]:
    """What texts without a name are called."""
    return [f"text {number}" for number in range(1, len(texts) + 1)]
