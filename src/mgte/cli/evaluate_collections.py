"""`mgte evaluate --data`: BEIR folders one by one, and a table of them."""

import argparse
import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from mgte.cli.evaluate_names import short_names
from mgte.cli.evaluate_options import COLUMNS, load_models, retrieval_config
from mgte.cli.output import say, write_json, write_table
from mgte.errors import DataError, MgteError
from mgte.text import replace_text

if TYPE_CHECKING:
    from mgte.evaluate import RetrievalConfig, RetrievalResult
    from mgte.evaluate.subjects import Subject

# As for every error that the user can fix.
FAILED = 2


def evaluate_collections(arguments: argparse.Namespace) -> int:
    """Print one row per collection."""
    from mgte.evaluate.suite_words import check_writable

    out = None if arguments.out is None else Path(arguments.out)
    if out is not None and not out.resolve().parent.is_dir():
        raise DataError(f"{out}: no such folder, expected one to write in")
    config = retrieval_config(arguments)
    if out is not None:
        check_writable(out.resolve().parent)
    subject = load_models(arguments)
    names = short_names(arguments.data)
    results: list[RetrievalResult] = []
    num_failed = 0
    try:
        for (folder, name), split in product(
            zip(arguments.data, names, strict=True), arguments.split
        ):
            try:
                result = measure(folder, split, subject, arguments, config)
                result = replace(result, collection=name)
            except MgteError as error:
                say(f"error: {error}")
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
    if num_failed and results:
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
    subject: "Subject",
    arguments: argparse.Namespace,
    config: "RetrievalConfig",
) -> "RetrievalResult":
    """One collection."""
    from mgte.evaluate import read_collection
    from mgte.evaluate.retrieval import search_and_measure, wanted_modes
    from mgte.evaluate.tasks.retrieval import possible_modes

    encoder, reranker = subject.encoder, subject.reranker
    # What the models cannot do is told before data is read.
    modes = wanted_modes(arguments.modes, encoder, reranker) if arguments.modes else ()
    collection = read_collection(
        folder,
        split=split,
        max_queries=arguments.max_queries,
        max_documents=arguments.max_documents,
        document_ids=arguments.document_ids.replace("{split}", split),
        own_documents=arguments.own_documents,
        seed=arguments.seed or 0,
    )
    modes = modes or possible_modes((), encoder, reranker)
    return search_and_measure(encoder, reranker, collection, modes, config)[0]


def print_table(results: "list[RetrievalResult]") -> None:
    """NDCG@10 by collection and way of ranking, and the mean of several collections."""
    columns = [mode for mode in COLUMNS if any(mode in result.modes for result in results)]
    rows = [(result.name, *(result.metrics.get(mode) for mode in columns)) for result in results]
    if len(results) > 1:
        means = [sum(r.metrics[mode] for r in results) / len(results) for mode in columns]
        rows.append(("mean", *means))
    write_table(("nDCG@10", *columns), rows)
