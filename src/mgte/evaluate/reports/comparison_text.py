"""A comparison of two reports as Markdown and as one HTML page. Loads no torch."""

from collections.abc import Sequence
from pathlib import Path

from mgte.evaluate.records import TaskKind
from mgte.evaluate.reports.compare import SIGNIFICANT, ComparedRow, Comparison
from mgte.evaluate.reports.markdown import cell, number_text, table
from mgte.evaluate.reports.page.bars import Bar, BarGroup, bar_chart
from mgte.evaluate.reports.page.document import page_document
from mgte.evaluate.reports.page.elements import Markup, element, joined
from mgte.evaluate.reports.page.tables import Cell, number_cell, sortable_table
from mgte.evaluate.reports.row import KIND_TITLES
from mgte.text import replace_text

_HEADER = (
    "Task",
    "Variant",
    "Metric",
    "A",
    "B",
    "B less A",
    "95 % interval",
    "p",
    "p (Holm)",
    "Better, worse",
    "Verdict",
    "Notes",
)
_WORDS = {
    "better": "B is better",
    "worse": "B is worse",
    "same": "no difference shown",
    "untested": "not tested",
}


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Write a comparison; the file appears whole or not at all.

    Args:
        comparison: The comparison.
        path: A file: HTML if it ends in `.html`, else Markdown.
    """
    is_html = path.suffix.lower() in (".html", ".htm")
    text = comparison_html(comparison) if is_html else comparison_markdown(comparison)
    replace_text(path, text.encode("utf-8", "replace").decode("utf-8"))


def comparison_markdown(comparison: Comparison) -> str:
    """A comparison as Markdown.

    Args:
        comparison: The comparison.

    Returns:
        The text, with a line break at its end.
    """
    lines = [f"# {cell(comparison.first)} (A) and {cell(comparison.second)} (B)", ""]
    lines.append(_summary(comparison))
    for kind, rows in _by_kind(comparison).items():
        lines += ["", f"## {KIND_TITLES[kind]}", ""]
        lines += table(_HEADER, [_texts(row) for row in rows], "lllrrrrrrrll")
    if comparison.settings:
        lines += ["", "## Settings that differ", ""]
        lines += table(("setting", "A", "B"), comparison.settings)
    for name, only in (("A", comparison.only_first), ("B", comparison.only_second)):
        if only:
            lines += ["", f"Only in {name}: {cell('; '.join(only))}."]
    return "\n".join(lines) + "\n"


def comparison_html(comparison: Comparison) -> str:
    """A comparison as the text of one HTML file.

    Args:
        comparison: The comparison.

    Returns:
        The text; it fetches nothing.
    """
    sections = {"Summary": element("p", _summary(comparison))}
    for kind, rows in _by_kind(comparison).items():
        sections[KIND_TITLES[kind]] = _kind_section(kind, rows)
    if comparison.settings:
        cells = [[Cell(content=text) for text in row] for row in comparison.settings]
        caption = "Settings that differ"
        sections[caption] = sortable_table(("Setting", "A", "B"), cells, caption)
    only = [
        element("p", f"Only in {name}: {'; '.join(found)}.")
        for name, found in (("A", comparison.only_first), ("B", comparison.only_second))
        if found
    ]
    sections["Not in both"] = joined(only)
    intro = element(
        "dl",
        element("div", element("dt", "A"), element("dd", comparison.first)),
        element("div", element("dt", "B"), element("dd", comparison.second)),
        class_="facts",
    )
    return page_document("Two evaluations side by side", intro, sections)


def _summary(comparison: Comparison) -> str:
    counts = {name: comparison.count(name) for name in ("better", "worse", "same", "untested")}
    return (
        f"{len(comparison.rows)} values in both: B is better in {counts['better']}, worse in "
        f"{counts['worse']}, no difference is shown in {counts['same']}; {counts['untested']} not "
        f"tested. Paired permutation tests over items, p adjusted by Holm, level {SIGNIFICANT:g}."
    )


def _by_kind(comparison: Comparison) -> dict[TaskKind, list[ComparedRow]]:
    found: dict[TaskKind, list[ComparedRow]] = {}
    for row in comparison.rows:
        found.setdefault(row.kind, []).append(row)
    return found


def _texts(row: ComparedRow) -> list[str]:
    test = row.test
    interval = "" if test is None else " to ".join(_signed(end, row.kind) for end in test.interval)
    return [
        row.task,
        row.variant,
        row.metric,
        number_text(row.first, row.kind),
        number_text(row.second, row.kind),
        _signed(row.difference, row.kind),
        interval,
        "" if test is None else _p_text(test.p_permutation),
        "" if row.p_adjusted is None else _p_text(row.p_adjusted),
        "" if test is None else f"{test.num_better}, {test.num_worse}",
        _WORDS[row.verdict],
        "; ".join(row.notes),
    ]


def _kind_section(kind: TaskKind, rows: Sequence[ComparedRow]) -> Markup:
    cells = []
    for row in rows:
        texts = _texts(row)
        role = row.verdict if row.verdict in ("better", "worse") else ""
        numbers = (row.first, row.second, row.difference)
        cells.append(
            [
                *(Cell(content=text) for text in texts[:3]),
                *(number_cell(n, text) for n, text in zip(numbers, texts[3:6], strict=True)),
                Cell(content=texts[6], is_number=True),
                number_cell(None if row.test is None else row.test.p_permutation, texts[7]),
                number_cell(row.p_adjusted, texts[8]),
                Cell(content=texts[9], is_number=True),
                Cell(content=texts[10], role=role),
                Cell(content=texts[11], role="source"),
            ]
        )
    title = KIND_TITLES[kind]
    chart = Markup() if kind == "efficiency" else bar_chart(_groups(rows), f"{title}: A and B")
    return joined([chart, sortable_table(_HEADER, cells, f"{title}: A and B")])


def _groups(rows: Sequence[ComparedRow]) -> list[BarGroup]:
    return [
        BarGroup(
            label=f"{row.task}, {row.variant}" if row.variant else row.task,
            bars=(Bar(series="A", value=row.first), Bar(series="B", value=row.second)),
        )
        for row in rows
        # Widths and precisions are many; they stand in the table.
        if "/" not in row.variant
    ]


def _signed(value: float, kind: TaskKind) -> str:
    text = number_text(value, kind)
    return text if text.startswith("-") else f"+{text}"


def _p_text(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
