"""`mgte evaluate --run`: TREC runs of any system, measured on a collection."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mgte.cli.evaluate_names import FILES, short_names
from mgte.cli.evaluate_suites import plain_result, print_report
from mgte.cli.output import say, write_json
from mgte.errors import ConfigError

if TYPE_CHECKING:
    from mgte.evaluate.records import TaskResult


def evaluate_runs(arguments: argparse.Namespace) -> int:
    """Print one row per run, and write a report where --out names a folder."""
    if arguments.model is not None:
        raise ConfigError(f"--run: got the model {arguments.model!r} too, expected one of them")
    if len(arguments.data) != 1 or len(arguments.split) != 1:
        raise ConfigError(
            f"--run: got {len(arguments.data)} folders in --data and {len(arguments.split)} "
            "splits, expected one of each"
        )
    if arguments.out is not None and Path(arguments.out).suffix in FILES:
        raise ConfigError(f"--out: got the file {arguments.out}, expected a folder for the report")
    from mgte.evaluate import read_collection
    from mgte.evaluate.records import Report
    from mgte.evaluate.reports.write import write_reports
    from mgte.evaluate.run_files import evaluate_run, read_run
    from mgte.evaluate.surroundings import package_versions

    split = arguments.split[0]
    collection = read_collection(
        arguments.data[0],
        split=split,
        max_queries=arguments.max_queries,
        document_ids=arguments.document_ids.replace("{split}", split),
        own_documents=arguments.own_documents,
        seed=arguments.seed or 0,
    )
    names = short_names(arguments.run)
    results = tuple(
        evaluate_run(read_run(path), collection, variant=name, seed=arguments.seed or 0)
        for path, name in zip(arguments.run, names, strict=True)
    )
    for name, result in zip(names, results, strict=True):
        _tell_gaps(name, result)
    report = Report(
        model=names[0] if len(names) == 1 else f"{len(names)} runs",
        versions=package_versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        results=results,
    )
    if arguments.out is not None:
        write_reports(report, Path(arguments.out))
        say(f"report: {Path(arguments.out) / 'report.html'}")
    if arguments.json:
        for result in results:
            write_json(plain_result(result))
    else:
        print_report(report)
    return 0


def _tell_gaps(name: str, result: "TaskResult") -> None:
    """What a run lacks, or has too much."""
    missing, unknown = (
        result.facts[fact] for fact in ("num_queries_missing", "num_unknown_documents")
    )
    if missing:
        say(f"{name}: lacks {missing:,} of {result.num_items:,} judged queries, which count 0")
    if unknown:
        say(f"{name}: names {unknown:,} documents that the collection does not hold")
