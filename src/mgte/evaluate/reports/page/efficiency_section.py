"""Section of a report's page on time and memory: charts by length and width, published times."""

from collections.abc import Sequence

from mgte.evaluate.records import Report, TaskResult
from mgte.evaluate.reports.page.bars import Bar, BarGroup, bar_chart
from mgte.evaluate.reports.page.elements import Markup, element, joined
from mgte.evaluate.reports.page.points import line_chart
from mgte.evaluate.reports.page.tables import Cell, number_cell, sortable_table
from mgte.evaluate.reports.published import all_published, publications
from mgte.evaluate.reports.row import metric_name

# What a result of an efficiency task measured, as its facts tell it, to the fact on the x axis.
_LINES = {"encoding": ("length", "longest text in tokens"), "search": ("search_width", "width")}


def efficiency_section(report: Report) -> Markup:
    """Charts of encode time, memory and search time, beside published times.

    Args:
        report: The report.

    Returns:
        What its results of efficiency tasks allow.
    """
    tasks: dict[tuple[str, str], list[TaskResult]] = {}
    for result in report.results:
        if result.kind == "efficiency":
            key = (result.task, str(result.facts.get("measure", "")))
            tasks.setdefault(key, []).append(result)
    parts = []
    for (task, measure), results in tasks.items():
        parts.append(element("h3", f"{task}: {metric_name(results[0].main_metric)}"))
        fact, name = _LINES.get(measure, ("", ""))
        has_line = all(fact in result.facts for result in results)
        parts.append(_lines(results, fact, name) if has_line else _bars(results))
    parts += [element("h3", "Published times"), published_times()]
    return joined(parts)


def published_times() -> Markup:
    """Published times as a table; of those taken on another machine only the ratios compare."""
    benchmarks = publications().benchmarks
    numbers = [n for n in all_published() if benchmarks[n.place.benchmark].kind == "efficiency"]
    rows = [
        [
            Cell(content=number.model),
            Cell(content=number.variant),
            Cell(content=benchmarks[number.place.benchmark].title),
            number_cell(number.value, f"{number.value:g}"),
        ]
        for number in numbers
    ]
    table = sortable_table(("Model", "Way", "What", "Value"), rows, "Published times")
    note = (
        f"{numbers[0].source}. {numbers[0].setting}. Other machine: ratios compare, times do not."
    )
    return joined([table, element("p", note, class_="hint")])


def _lines(results: Sequence[TaskResult], fact: str, name: str) -> Markup:
    places = sorted({int(result.facts[fact]) for result in results})
    series: dict[str, list[float | None]] = {}
    for result in results:
        # Searches at several widths are one line: their variants differ by the width only.
        label = result.variant.partition("@")[0]
        line = series.setdefault(label, [None] * len(places))
        line[places.index(int(result.facts[fact]))] = result.main
    metric = metric_name(results[0].main_metric)
    return line_chart(series, [str(place) for place in places], name, metric, from_zero=True)


def _bars(results: Sequence[TaskResult]) -> Markup:
    groups: dict[str, list[Bar]] = {}
    for result in results:
        groups.setdefault(result.subset or result.task, []).append(
            Bar(series=result.variant, value=result.main)
        )
    bars = [BarGroup(label=label, bars=tuple(found)) for label, found in groups.items()]
    return bar_chart(bars, f"{results[0].task}: {metric_name(results[0].main_metric)}")
