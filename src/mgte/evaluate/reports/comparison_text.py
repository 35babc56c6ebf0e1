"""A comparison of two reports as Markdown and as one HTML page. Loads no torch."""

from collections.abc import Sequence
from pathlib import Path

from mgte.evaluate.reports.compare import SIGNIFICANT, ComparedRow, Comparison
from mgte.evaluate.reports.curves import CURVE_TITLE
from mgte.evaluate.reports.markdown import cell, number_text, table
from mgte.evaluate.reports.page.bars import Bar, BarGroup, bar_chart
from mgte.evaluate.reports.page.document import page_document
from mgte.evaluate.reports.page.elements import Markup, element, joined
from mgte.evaluate.reports.page.tables import Cell, number_cell, sortable_table
from mgte.evaluate.reports.row import KIND_TITLES
from mgte.text import replace_text

# What was measured stands before the columns of values, what is least asked for at the end.
_NAMES = ("Task", "Variant", "Metric")
_VALUES = (
    "A",
    "B",
    "B − A",  # noqa: RUF001 - a minus sign, as people read it
    "Verdict",
    "Notes",
    "95 % interval",
    "p (Holm)",
    "p",
    "Better, worse",
)
_MOST_TASKS = 12
_SETTINGS = ("Setting", "A", "B", "Tasks")
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
    for text in _missing(comparison):
        lines += ["", f"**{cell(text)}**"]
    for title, rows in _sections(comparison).items():
        lines += ["", f"## {title}", ""]
        texts = [[row.task, row.variant, row.metric, *_texts(row)] for row in rows]
        lines += table((*_NAMES, *_VALUES), texts, "lllrrrllrrrr")
    if comparison.settings:
        lines += ["", "## Settings that differ", ""]
        lines += table(_SETTINGS, _setting_rows(comparison))
    for text in _unshared(comparison):
        lines += ["", cell(text)]
    return "\n".join(lines) + "\n"


def comparison_html(comparison: Comparison) -> str:
    """A comparison as the text of one HTML file.

    Args:
        comparison: The comparison.

    Returns:
        The text; it fetches nothing.
    """
    sections = {"Summary": element("p", _summary(comparison))}
    for title, rows in _sections(comparison).items():
        sections[title] = _section(title, rows)
    if comparison.settings:
        cells = [[Cell(content=text) for text in row] for row in _setting_rows(comparison)]
        caption = "Settings that differ"
        sections[caption] = sortable_table(_SETTINGS, cells, caption)
    sections["Not in both"] = joined(element("p", text) for text in _unshared(comparison))
    names = element(
        "dl",
        element("div", element("dt", "A"), element("dd", comparison.first)),
        element("div", element("dt", "B"), element("dd", comparison.second)),
        class_="facts",
    )
    missing = [element("p", text, class_="notice") for text in _missing(comparison)]
    return page_document("Two evaluations side by side", joined([names, *missing]), sections)


def _summary(comparison: Comparison) -> str:
    counts = {name: comparison.count(name) for name in ("better", "worse", "same", "untested")}
    return (
        f"{len(comparison.rows)} values in both: B is better in {counts['better']}, worse in "
        f"{counts['worse']}, no difference is shown in {counts['same']}; {counts['untested']} not "
        f"tested. Paired permutation tests over items, p adjusted by Holm, level {SIGNIFICANT:g}."
    )


def _missing(comparison: Comparison) -> list[str]:
    told = (("A", comparison.missing_first), ("B", comparison.missing_second))
    return [f"Not measured yet in {name}: {words}." for name, words in told if words]


def _unshared(comparison: Comparison) -> list[str]:
    told = (("A", comparison.only_first), ("B", comparison.only_second))
    return [f"Only in {name}: {'; '.join(found)}." for name, found in told if found]


def _setting_rows(comparison: Comparison) -> list[tuple[str, str, str, str]]:
    return [
        (
            setting.name,
            setting.first or "not set",
            setting.second or "not set",
            _task_words(setting.tasks),
        )
        for setting in comparison.settings
    ]


def _task_words(tasks: Sequence[str]) -> str:
    if len(tasks) > _MOST_TASKS:
        return f"{', '.join(tasks[:_MOST_TASKS])} and {len(tasks) - _MOST_TASKS} more"
    return ", ".join(tasks) or "all of both"


def _sections(comparison: Comparison) -> dict[str, list[ComparedRow]]:
    found: dict[str, list[ComparedRow]] = {}
    for row in comparison.rows:
        title = CURVE_TITLE if row.is_of_curve else KIND_TITLES[row.kind]
        found.setdefault(title, []).append(row)
    return found


def _texts(row: ComparedRow) -> list[str]:
    """Cells of the columns of values."""
    test = row.test
    return [
        number_text(row.first, row.kind),
        number_text(row.second, row.kind),
        _signed(row.difference, row.kind),
        _WORDS[row.verdict],
        "; ".join(row.notes),
        "" if test is None else " to ".join(_signed(end, row.kind) for end in test.interval),
        "" if row.p_adjusted is None else _p_text(row.p_adjusted),
        "" if test is None else _p_text(test.p_permutation),
        "" if test is None else f"{test.num_better}, {test.num_worse}",
    ]


def _section(title: str, rows: Sequence[ComparedRow]) -> Markup:
    cells = []
    for row in rows:
        first, second, difference, verdict, notes, interval, adjusted, p, counts = _texts(row)
        role = row.verdict if row.verdict in ("better", "worse") else ""
        cells.append(
            [
                Cell(content=_named(row)),
                number_cell(row.first, first),
                number_cell(row.second, second),
                number_cell(row.difference, difference, role=role),
                Cell(content=verdict, role=f"verdict {role}".strip()),
                Cell(content=notes, role="source"),
                Cell(content=interval, is_number=True),
                number_cell(row.p_adjusted, adjusted),
                number_cell(None if row.test is None else row.test.p_permutation, p),
                Cell(content=counts, is_number=True),
            ]
        )
    caption = f"{title}: A and B"
    has_chart = rows[0].kind != "efficiency"
    chart = bar_chart(_groups(rows), caption) if has_chart else Markup()
    return joined([chart, sortable_table((_NAMES[0], *_VALUES), cells, caption)])


def _named(row: ComparedRow) -> Markup:
    """Task, and below it variant and metric: as columns they would push the verdict off screens."""
    details = ", ".join(filter(None, [row.variant, row.metric]))
    return joined([row.task, element("span", details, class_="details")])


def _groups(rows: Sequence[ComparedRow]) -> list[BarGroup]:
    return [
        BarGroup(
            label=f"{row.task}, {row.variant}" if row.variant else row.task,
            bars=(Bar(series="A", value=row.first), Bar(series="B", value=row.second)),
        )
        for row in rows
        # Widths and precisions are many; they stand in the table.
        if not row.is_of_curve
    ]


def _signed(value: float, kind: str) -> str:
    text = number_text(value, kind)
    return text if text.startswith("-") else f"+{text}"


def _p_text(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
