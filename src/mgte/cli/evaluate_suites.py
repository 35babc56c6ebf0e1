"""`mgte evaluate --suite`: the tasks of a suite, a report on them, and what the suites are."""

import argparse
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgte.cli.evaluate_collections import FAILED
from mgte.cli.evaluate_names import FILES, UNSAFE, default_out, short_names
from mgte.cli.evaluate_options import load_models, retrieval_config
from mgte.cli.output import say, write_json, write_line, write_table
from mgte.config import from_dict, override, parse_assignments, to_dict
from mgte.errors import ConfigError

if TYPE_CHECKING:
    from mgte.evaluate.records import Report, TaskResult
    from mgte.evaluate.suite import Suite

_MTEB = "mteb:"


def evaluate_suite(arguments: argparse.Namespace) -> int:
    """Measure a model on a suite and print one row per result."""
    from mgte.evaluate.suite import build_task
    from mgte.evaluate.suite_run import RunOptions, run_suite
    from mgte.evaluate.suite_words import check_writable
    from mgte.evaluate.tasks.data_paths import data_root

    suite = wanted_suite(arguments)
    if arguments.out and Path(arguments.out).suffix in FILES:
        raise ConfigError(f"--out: got the file {arguments.out}, expected a folder for the report")
    root = Path.cwd() if arguments.data else data_root(arguments.data_root)
    # What is wrong with a task or a setting is told before a model is loaded.
    for entry in suite.tasks:
        build_task(entry, root)
    retrieval = retrieval_config(arguments, dict(suite.settings.retrieval))
    out = Path(arguments.out) if arguments.out else default_out(arguments.model, suite)
    check_writable(out)
    subject = load_models(arguments, suite.settings.max_length)
    names = tuple(name.removeprefix(_MTEB) for name in arguments.task) if arguments.suite else ()
    chosen = suite.only(names)
    say(f"{suite.title}: {_counted(len(chosen.tasks))}, results in {out}")
    report = run_suite(
        suite,
        subject,
        out,
        root=root,
        options=RunOptions(
            tasks=names,
            seed=arguments.seed,
            modes=tuple(arguments.modes),
            retrieval=retrieval,
            use_cache=not arguments.no_cache,
            cache_folder=Path(arguments.cache_dir) if arguments.cache_dir else None,
            save_runs=arguments.save_runs,
            again=arguments.again,
            offline=arguments.offline,
            show_progress=arguments.progress,
            tell=say,
        ),
    )
    if arguments.json:
        for result in report.results:
            write_json(plain_result(result))
    else:
        print_report(report)
    say(f"report: {out / 'report.html'}")
    if report.failures:
        say(f"{len(report.failures)} of {_counted(len(chosen.tasks))} failed")
    return FAILED if report.failures else 0


def wanted_suite(arguments: argparse.Namespace) -> "Suite":
    """The suite that the options name or describe.

    Args:
        arguments: What the parser made of the command line.

    Returns:
        A suite of at least one task.

    Raises:
        ConfigError: There is no such suite or task, or the options contradict each other.
    """
    from mgte.evaluate.suite import Suite, read_suite

    if arguments.suite and arguments.data:
        raise ConfigError("--suite: got --data too, expected one of them")
    of_mteb = [name for name in arguments.task if name.startswith(_MTEB)]
    names = [name for name in arguments.task if name not in of_mteb]
    entries = [_mteb_entry(name) for name in of_mteb]
    if arguments.suite is None:
        if names:
            raise ConfigError(f"--task: got {names[0]!r} without a suite, expected --suite NAME")
        entries += _data_entries(arguments)
        values = {"name": "", "title": "Evaluation", "tasks": entries}
        return from_dict(Suite, values)
    suite = read_suite(arguments.suite)
    changes = parse_assignments(arguments.set)
    wanted = suite.only(names).task_names if names or not of_mteb else ()
    entries = [
        *(override(entry, changes if entry["name"] in wanted else {}) for entry in suite.tasks),
        *entries,
    ]
    return from_dict(Suite, to_dict(suite) | {"tasks": entries})


def print_report(report: "Report") -> None:
    """One row per result, beside published numbers."""
    from mgte.evaluate.reports.markdown import difference_text, value_text
    from mgte.evaluate.reports.rows import report_rows

    rows = []
    for row in report_rows(report):
        low_high = "" if row.interval is None else "{:.3f} to {:.3f}".format(*row.interval)
        published = "" if row.published is None else f"{row.published.value:.3f}"
        told = (value_text(row), low_high, published, difference_text(row))
        rows.append((row.task, row.variant, row.metric, *told))
    if rows:
        header = ("task", "variant", "metric", "value", "95 %", "published", "difference")
        write_table(header, rows)


def plain_result(result: "TaskResult") -> dict[str, Any]:
    """A result for JSON, without its single items."""
    values = asdict(result)
    for name in ("per_item", "worst"):
        values.pop(name)
    values["facts"] = {
        name: value for name, value in result.facts.items() if not isinstance(value, dict | list)
    }
    return values


def list_suites(name: str) -> int:
    """Print the suites, or the tasks of one."""
    from mgte.evaluate.suite import read_suite, suite_names

    if not name:
        suites = [read_suite(one) for one in suite_names()]
        rows = [(suite.name, len(suite.tasks), suite.title) for suite in suites]
        write_table(("suite", "tasks", "title"), rows)
        return 0
    suite = read_suite(name)
    say(suite.description or suite.title)
    write_table(("task", "kind"), [(entry["name"], entry["kind"]) for entry in suite.tasks])
    return 0


def compare(first: str, second: str, out: str | None) -> int:
    """Print a comparison of two reports, or write it."""
    from mgte.evaluate.records import read_report
    from mgte.evaluate.reports.compare import compare_reports
    from mgte.evaluate.reports.comparison_text import comparison_markdown, write_comparison

    comparison = compare_reports(read_report(first), read_report(second))
    if out is None:
        write_line(comparison_markdown(comparison).rstrip("\n"))
    else:
        if Path(out).suffix not in (".md", ".html"):
            raise ConfigError(f"--out: got {out}, expected x.md or x.html")
        write_comparison(comparison, Path(out))
        say(f"comparison: {out}")
    return 0


def _mteb_entry(name: str) -> dict[str, Any]:
    from mgte.evaluate.tasks.mteb_task import single_mteb_task

    entry: dict[str, Any] = to_dict(single_mteb_task(name))
    return entry


def _counted(number: int) -> str:
    return f"{number} task{'' if number == 1 else 's'}"


def _data_entries(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Tasks of --data: one per path and split, its name made of both."""
    entries = []
    stems = [UNSAFE.sub("-", name) for name in short_names(arguments.data)]
    for (path, stem), split in product(zip(arguments.data, stems, strict=True), arguments.split):
        place = str(Path(path).resolve())
        entry: dict[str, Any] = {"kind": arguments.kind, "name": stem}
        if len(arguments.split) > 1:
            entry["name"] = f"{stem}-{UNSAFE.sub('-', split)}"
        if arguments.kind == "retrieval":
            entry |= {
                "data": place,
                "split": split,
                "max_queries": arguments.max_queries,
                "max_documents": arguments.max_documents,
                "document_ids": arguments.document_ids.replace("{split}", split),
                "own_documents": arguments.own_documents,
            }
        else:
            entry["data"] = {"path": place, "split": split}
        entries.append(override(entry, parse_assignments(arguments.set)))
    return entries
