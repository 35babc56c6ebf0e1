"""Section of a report's page on widths and precisions: quality against bytes and time."""

from collections.abc import Sequence

from mgte.evaluate.records import Report, TaskResult
from mgte.evaluate.reports.curves import curve_header, curve_results, curve_texts
from mgte.evaluate.reports.page.elements import Markup, element, joined
from mgte.evaluate.reports.page.points import Point, scatter_chart
from mgte.evaluate.reports.page.tables import Cell, number_cell, sortable_table
from mgte.evaluate.reports.row import metric_name

_COSTS = (("bytes_per_document", "bytes per document"), ("ms_per_query", "ms per query"))


def curve_section(report: Report) -> Markup:
    """Quality against bytes per document and time per query; empty without such results."""
    parts = []
    for task, results in curve_results(report).items():
        quality = metric_name(results[0].main_metric)
        charts = [
            scatter_chart(points, name, quality)
            for fact, name in _COSTS
            if (points := curve_points(results, fact))
        ]
        parts.append(element("h3", task))
        if charts:
            parts.append(element("div", *charts, class_="grid-of-charts"))
        parts.append(_curve_table(results, task))
    return joined(parts)


def curve_points(results: Sequence[TaskResult], fact: str) -> list[Point]:
    """Points of a curve: quality over a cost.

    Args:
        results: Results of one curve task.
        fact: The fact that is the cost, "bytes_per_document" or "ms_per_query".

    Returns:
        One point per result that has the fact.
    """
    return [
        Point(
            series=str(result.facts["precision"]),
            x=float(result.facts[fact]),
            y=result.main,
            label=str(result.facts["width"]),
            detail=f"{result.variant}: {result.main:.4f}, {result.facts[fact]:g}",
        )
        for result in results
        if float(result.facts.get(fact, 0)) > 0
    ]


def _curve_table(results: Sequence[TaskResult], task: str) -> Markup:
    rows = []
    for result in results:
        width, precision, size, time, value, interval = curve_texts(result)
        facts = result.facts
        rows.append(
            [
                number_cell(facts["width"], width),
                Cell(content=precision),
                number_cell(facts["bytes_per_document"], size),
                number_cell(facts.get("ms_per_query"), time),
                number_cell(result.main, value, detail=f"{result.main:.6f}"),
                Cell(content=interval, is_number=True),
            ]
        )
    return sortable_table(curve_header(results[0]), rows, f"{task}: widths and precisions")
