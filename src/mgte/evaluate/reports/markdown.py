"""A report as Markdown: a table per kind of task, beside published numbers. Loads no torch."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from mgte.evaluate.records import Report
from mgte.evaluate.reports.facts import seconds_by_task, shared_settings, truncation
from mgte.evaluate.reports.published import Published
from mgte.evaluate.reports.row import KIND_TITLES, ReportRow
from mgte.evaluate.reports.rows import rows_by_kind
from mgte.text import replace_text

_HEADER = ("task", "variant", "metric", "value", "95 % interval", "items")
_PUBLISHED = ("published", "difference", "note")


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
        lines += ["", f"## {KIND_TITLES[kind]}", "", *_kind_table(rows, sources)]
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
        Its lines.
    """
    marks = ["---:" if mark == "r" else "---" for mark in numbers.ljust(len(header), "l")]
    lines = [_line(header), _line(marks[: len(header)])]
    return lines + [_line([cell(text) for text in row]) for row in rows]


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


def _kind_table(rows: Sequence[ReportRow], sources: dict[tuple[str, str], int]) -> list[str]:
    has_published = any(row.published for row in rows)
    header = (*_HEADER, *(_PUBLISHED if has_published else ()))
    lines = []
    for row in rows:
        interval = (
            ""
            if row.interval is None
            else " to ".join(number_text(end, row.kind) for end in row.interval)
        )
        texts = [row.task, row.variant, row.metric, value_text(row), interval]
        texts.append(f"{row.num_items:,}" if row.num_items else "")
        if has_published:
            texts += _published_cells(row, sources)
        lines.append(texts)
    return table(header, lines, "lllrrrrrl")


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
