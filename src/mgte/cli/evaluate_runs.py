"""`mgte evaluate --run`: TREC runs of any system, measured on a collection."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from mgte.cli.evaluate_suites import plain_result, print_report
from mgte.cli.output import say, write_json
from mgte.errors import ConfigError


def evaluate_runs(arguments: argparse.Namespace) -> int:
    """Print one row per run, and write a report where --out names a folder."""
    if arguments.model is not None:
        raise ConfigError(f"--run: got the model {arguments.model!r} too, expected one of them")
    if len(arguments.data) != 1 or len(arguments.split) != 1:
        raise ConfigError("--run: expected one folder in --data, and one --split")
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
    names = [Path(path).name.removesuffix(".run") for path in arguments.run]
    results = tuple(
        evaluate_run(read_run(path), collection, variant=name, seed=arguments.seed or 0)
        for path, name in zip(arguments.run, names, strict=True)
    )
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
