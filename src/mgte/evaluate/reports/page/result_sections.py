"""Sections of a report's page that show results: one per kind of task."""

from collections.abc import Mapping, Sequence

from mgte.evaluate.records import Report, TaskResult
from mgte.evaluate.reports.curves import is_of_curve
from mgte.evaluate.reports.groups import groups_by_language, groups_by_length, item_lengths
from mgte.evaluate.reports.markdown import (
    difference_text,
    interval_text,
    number_text,
    value_text,
)
from mgte.evaluate.reports.page.bars import Bar, BarGroup, bar_chart
from mgte.evaluate.reports.page.elements import Markup, element, joined
from mgte.evaluate.reports.page.points import line_chart
from mgte.evaluate.reports.page.tables import Cell, number_cell, sortable_table
from mgte.evaluate.reports.row import KIND_TITLES, ReportRow, metric_name, task_label

_HEADER = (
    "Task",
    "Variant",
    "Metric",
    "Value",
    "95 % interval",
    "Items",
    "Published",
    "Difference",
    "Source and protocol",
)
# Below this, a difference from a published number is rounding.
_EQUAL = 0.0005


def kind_section(rows: Sequence[ReportRow]) -> Markup:
    """Chart and table of one kind of task.

    Args:
        rows: Its rows.

    Returns:
        Both; efficiency has its own charts and gets the table only, widths and precisions have
        their own section and get neither.
    """
    title = KIND_TITLES[rows[0].kind]
    drawn = [row for row in rows if not is_of_curve(row.result)]
    if not drawn:
        return Markup()
    chart = Markup()
    if rows[0].kind != "efficiency":
        chart = bar_chart(_bar_groups(drawn), f"{title}: value of every task and variant")
    return joined([chart, result_table(drawn, f"{title}: all results")])


def result_table(rows: Sequence[ReportRow], caption: str) -> Markup:
    """Rows of a report as a table.

    Args:
        rows: The rows.
        caption: What it shows.

    Returns:
        The table; variants, intervals and published numbers stand only where there is one.
    """
    cells = [[*_own_cells(row), *_published_cells(row)] for row in rows]
    marked = [index for index, row in enumerate(rows) if row.is_mean]
    return sortable_table(_HEADER, cells, caption, marked)


def language_section(report: Report) -> Markup:
    """Means by language; empty where there are not several languages."""
    parts = []
    for group in groups_by_language(report):
        title = f"{KIND_TITLES[group.kind]}: {metric_name(group.metric)} by language"  # type: ignore[index]
        counts = sorted(set(group.num_tasks.values()))
        groups = [
            BarGroup(
                label=language if counts == [1] else f"{language} ({group.num_tasks[language]})",
                bars=tuple(Bar(series=variant, value=mean) for variant, mean in values.items()),
            )
            for language, values in group.values.items()
        ]
        parts += [element("h3", title), bar_chart(groups, title)]
        if counts != [1]:
            words = "In brackets: tasks of the language. Other tasks, other difficulty."
            parts.append(element("p", words, class_="hint"))
    return joined(parts)


def length_section(report: Report) -> Markup:
    """Quality by length of the text, task by task; empty where no lengths are known."""
    tasks: dict[str, list[TaskResult]] = {}
    for result in report.results:
        if item_lengths(result) and not is_of_curve(result):
            tasks.setdefault(task_label(result), []).append(result)
    figures = [
        figure
        for task, results in tasks.items()
        for name, lengths in item_lengths(results[0]).items()
        if (figure := _length_chart(task, results, name, lengths))
    ]
    return element("div", *figures, class_="grid-of-charts") if figures else Markup()


def _own_cells(row: ReportRow) -> list[Cell]:
    return [
        Cell(content=row.task),
        Cell(content=row.variant),
        Cell(content=row.metric),
        number_cell(row.value, value_text(row), detail=f"{row.value:.6f}"),
        Cell(content=interval_text(row.interval, row.kind), is_number=True),
        number_cell(row.num_items or None, f"{row.num_items:,}"),
    ]


def _published_cells(row: ReportRow) -> list[Cell]:
    if row.published is None:
        return [number_cell(None, ""), number_cell(None, ""), Cell(content="")]
    first = row.published
    role = "" if row.difference is None else _role(row.difference)
    words = [element("span", f"{first.source}. {first.setting}.")]
    words += [element("span", f"Not compared: {note}.", class_="warn") for note in row.notes]
    words += [
        element("span", f"Also {number_text(other.value, row.kind)}: {other.source}.")
        for other in row.others
        if other.metric == first.metric
    ]
    return [
        number_cell(first.value, number_text(first.value, row.kind)),
        number_cell(row.difference, difference_text(row), role=role),
        Cell(content=joined(words), role="source"),
    ]


def _role(difference: float) -> str:
    if abs(difference) < _EQUAL:
        return ""
    return "better" if difference > 0 else "worse"


def _bar_groups(rows: Sequence[ReportRow]) -> list[BarGroup]:
    groups: dict[str, list[Bar]] = {}
    for row in rows:
        published = "" if row.published is None else f", published {row.published.value:.3f}"
        bar = Bar(
            series=row.variant,
            value=row.value,
            interval=row.interval,
            mark=row.published.value if row.published and row.difference is not None else None,
            detail=f"{row.variant} {row.metric} {row.value:.4f}{published}".strip(),
        )
        is_main = row.result is None or row.metric == metric_name(row.result.main_metric)
        if is_main:
            groups.setdefault(row.task, []).append(bar)
    return [BarGroup(label=task, bars=tuple(bars)) for task, bars in groups.items()]


def _length_chart(
    task: str, results: Sequence[TaskResult], name: str, lengths: Mapping[str, int]
) -> Markup:
    # Variants are measured on the same items, so they have the same ranges.
    groups = {result.variant: groups_by_length(result.per_item, lengths) for result in results}
    places = [f"{group.label}\u2009({group.num_items})" for group in next(iter(groups.values()))]
    if len(places) < 2:
        return Markup()
    series = {variant: [group.mean for group in found] for variant, found in groups.items()}
    metric = metric_name(results[0].main_metric)
    chart = line_chart(series, places, f"{name} (items)", metric)
    return element("div", element("h3", task), chart)
