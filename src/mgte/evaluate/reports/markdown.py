"""A report as Markdown: a table per kind of task, beside published numbers. Loads no torch."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from mgte.evaluate.records import Report
from mgte.evaluate.reports.curves import (
    CURVE_TITLE,
    curve_header,
    curve_results,
    curve_texts,
    is_of_curve,
)
from mgte.evaluate.reports.facts import (
    efficiency_notes,
    missing_tasks,
    seconds_by_task,
    truncation,
)
from mgte.evaluate.reports.published import Published
from mgte.evaluate.reports.row import KIND_TITLES, ReportRow
from mgte.evaluate.reports.rows import rows_by_kind
from mgte.evaluate.reports.settings import shared_settings
from mgte.text import replace_text

_HEADER = (
    "task",
    "variant",
    "metric",
    "value",
    "95 % interval",
    "items",
    "published",
    "difference",
    "note",
)


def write_markdown(report: Report, path: Path) -> None:
    """Write a report as Markdown; the file appears whole or not at all.

    Args:
        report: The report.
        path: The file.
    """
    text = report_markdown(report)
    replace_text(path, text.encode("utf-8", "replace").decode("utf-8"))


def report_markdown(report: Report) -> str:
    """A report as Markdown.

    Args:
        report: The report.

    Returns:
        The text, with a line break at its end.
    """
    sources: dict[tuple[str, str], int] = {}
    lines = [f"# Evaluation of {cell(report.model)}", "", *_head(report)]
    for kind, rows in rows_by_kind(report).items():
        # Widths and precisions have other columns, and a table of their own.
        shown = [row for row in rows if not is_of_curve(row.result)]
        if shown:
            lines += ["", f"## {KIND_TITLES[kind]}", "", *_kind_table(shown, sources)]
        if kind == "efficiency":
            lines += _paragraphs(efficiency_notes(report))
    lines += _curves(report)
    if sources:
        lines += ["", "Published numbers:", ""]
        lines += [
            f"{number}. {cell(source)}: {cell(setting)}."
            for (source, setting), number in sources.items()
        ]
    lines += _failures(report)
    cut = truncation(report)
    if cut:
        lines += ["", "## Texts that were cut", "", *table(("task", "what", "how many"), cut)]
    lines += _pairs("Settings", shared_settings(report))
    lines += _pairs("Seconds", {k: f"{v:.1f}" for k, v in seconds_by_task(report).items()})
    lines += _pairs("Versions", report.versions)
    lines += _pairs("Machine", {key: str(value) for key, value in report.machine.items()})
    return "\n".join(lines) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: str = "") -> list[str]:
    """A Markdown table.

    Args:
        header: Names of the columns.
        rows: Texts of the cells; escaped here.
        numbers: One letter per column, "r" for those on the right; "" for none.

    Returns:
        Its lines; columns in which no row has anything are left out.
    """
    held = [list(row) for row in rows]
    kept = [i for i in range(len(header)) if not held or any(row[i] for row in held)]
    marks = ["---:" if mark == "r" else "---" for mark in numbers.ljust(len(header), "l")]
    lines = [_line([cell(header[i]) for i in kept]), _line([marks[i] for i in kept])]
    return lines + [_line([cell(row[i]) for i in kept]) for row in held]


def cell(text: str) -> str:
    """A text inside a table or a line: nothing in it is taken for Markdown's own or HTML."""
    kept = " ".join(text.split())
    for character in ("\\", "|", "`", "*", "[", "]"):
        kept = kept.replace(character, f"\\{character}")
    return kept.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def value_text(row: ReportRow) -> str:
    """A row's value: three digits for metrics, what is readable for times and sizes."""
    return number_text(row.value, row.kind)


def number_text(value: float, kind: str) -> str:
    """A number of a kind of task."""
    if kind != "efficiency":
        return f"{value:.3f}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def interval_text(interval: tuple[float, float] | None, kind: str) -> str:
    """Both ends of an interval; "" without one."""
    return "" if interval is None else " to ".join(number_text(end, kind) for end in interval)


def difference_text(row: ReportRow) -> str:
    """Signed difference from the published number; "" without one."""
    return "" if row.difference is None else f"{row.difference:+.3f}"


def _head(report: Report) -> Iterator[str]:
    facts = {
        "revision": report.revision,
        "reranker": report.reranker,
        "suite": report.suite,
        "created": report.created,
    }
    told = [f"{name} {cell(value)}" for name, value in facts.items() if value]
    count = f"{len(report.results)} results"
    if report.failures:
        count += f", failed tasks: {len(report.failures)}"
    yield "; ".join([*told, count]) + "."
    missing = missing_tasks(report)
    if missing:
        yield from ("", f"**Not measured yet: {cell(missing)}.**")


def _kind_table(rows: Sequence[ReportRow], sources: dict[tuple[str, str], int]) -> list[str]:
    lines = []
    for row in rows:
        texts = [row.task, row.variant, row.metric, value_text(row)]
        texts.append(interval_text(row.interval, row.kind))
        texts.append(f"{row.num_items:,}" if row.num_items else "")
        lines.append([*texts, *_published_cells(row, sources)])
    return table(_HEADER, lines, "lllrrrrrl")


def _curves(report: Report) -> list[str]:
    lines = []
    for task, results in curve_results(report).items():
        texts = [curve_texts(result) for result in results]
        table_lines = table(curve_header(results[0]), texts, "rlrrrr")
        lines += ["", f"### {cell(task)}", "", *table_lines]
    return ["", f"## {CURVE_TITLE}", *lines] if lines else []


def _paragraphs(sentences: Iterable[str]) -> list[str]:
    return [line for sentence in sentences for line in ("", cell(sentence))]


def _published_cells(row: ReportRow, sources: dict[tuple[str, str], int]) -> list[str]:
    if row.published is None:
        return ["", "", ""]
    first = row.published
    number = _source_number(first, sources)
    notes = [f"({number})", "; ".join(row.notes)]
    notes += [
        f"also {other.value:.3f} ({_source_number(other, sources)})"
        for other in row.others
        if other.metric == first.metric
    ]
    note = ", ".join(part for part in notes if part)
    return [number_text(first.value, row.kind), difference_text(row), note]


def _source_number(published: Published, sources: dict[tuple[str, str], int]) -> int:
    return sources.setdefault((published.source, published.setting), len(sources) + 1)


def _failures(report: Report) -> list[str]:
    if not report.failures:
        return []
    rows = [(failure.task, failure.error) for failure in report.failures]
    return ["", "## Tasks that failed", "", *table(("task", "error"), rows)]


def _pairs(title: str, values: Mapping[str, str]) -> list[str]:
    if not values:
        return []
    return ["", f"## {title}", "", *table(("", ""), list(values.items()))]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
