"""`mgte evaluate`: a model on suites of tasks, or on retrieval collections, beside BM25."""

import argparse
import os
from pathlib import Path

from mgte.cli.evaluate_options import add_options, fill_data_options
from mgte.errors import ConfigError

DESCRIPTION = (
    "Measure a model. With --suite: the tasks of a suite (retrieval, reranking, similarity, "
    "classification, clustering ...), with a report beside published numbers; finished tasks are "
    "not measured again. With --data: BEIR folders, whose documents are ranked for their queries "
    "(nDCG@10), dense, sparse, hybrid and reranked as far as the models can, and by BM25. Needs "
    "the extra mgte[eval]."
)
EXAMPLE = (
    "  mgte evaluate mgte-nano --suite local --data-root data --out results/nano\n"
    "  mgte evaluate --compare results/nano results/other\n"
    "  mgte evaluate mgte-nano --data scifact nfcorpus --split test --out results.json\n"
    "  mgte evaluate MODEL --data xquad --split de fr --document-ids '{split}-*'\n"
    "  mgte evaluate http://localhost:8080#MODEL --data pairs.csv --kind sts --set score=label"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """List, compare or measure."""
    from mgte.cli import evaluate_collections, evaluate_runs, evaluate_suites

    if arguments.offline:
        # What mteb and datasets fetch by themselves is fetched from their caches, too.
        os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"
    if arguments.list is not None:
        return evaluate_suites.list_suites(arguments.list)
    if arguments.compare is not None:
        if arguments.json:
            raise ConfigError("--json: a comparison has none, expected --out x.md or x.html")
        first, second = arguments.compare
        return evaluate_suites.compare(first, second, arguments.out)
    fill_data_options(arguments)
    if arguments.run:
        return evaluate_runs.evaluate_runs(arguments)
    if arguments.model is None and arguments.reranker is not None:
        # Measured alone, it ranks what BM25 finds.
        arguments.model, arguments.reranker = arguments.reranker, None
    if arguments.model is None:
        raise ConfigError("MODEL: missing, expected a name, a folder or an address")
    if not (arguments.suite or arguments.data or arguments.task):
        raise ConfigError(
            "nothing to measure: expected --suite, --data or --task", hint="mgte evaluate --list"
        )
    if _is_table(arguments):
        return evaluate_collections.evaluate_collections(arguments)
    return evaluate_suites.evaluate_suite(arguments)


def _is_table(arguments: argparse.Namespace) -> bool:
    """Whether BEIR folders are measured for a table, and not for a report in a folder."""
    for_suites = (arguments.suite, arguments.task, arguments.set, arguments.save_runs)
    if any(for_suites) or arguments.kind != "retrieval":
        return False
    out = arguments.out
    return out is None or Path(out).suffix == ".json"
