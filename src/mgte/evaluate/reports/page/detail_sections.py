"""Sections of a report's page beside the numbers: worst items, failures, settings, machine."""

from collections.abc import Mapping, Sequence

from mgte.evaluate.records import Report, TaskResult, WorstItem
from mgte.evaluate.reports.facts import data_facts, seconds_by_task, truncation
from mgte.evaluate.reports.page.elements import Markup, element, joined
from mgte.evaluate.reports.page.tables import Cell, number_cell, pair_table, sortable_table
from mgte.evaluate.reports.row import metric_name, task_label
from mgte.evaluate.reports.settings import own_settings, shared_settings

_MOST_WORST = 20


def worst_section(report: Report) -> Markup:
    """Items that went worst, to be opened task by task; empty where no task tells any."""
    tasks: dict[str, list[TaskResult]] = {}
    for result in report.results:
        if result.worst:
            tasks.setdefault(task_label(result), []).append(result)
    return joined(_worst_of_task(task, results) for task, results in tasks.items())


def failure_section(report: Report) -> Markup:
    """Tasks that could not be measured; empty where all could."""
    if not report.failures:
        return Markup()
    rows = [
        [Cell(content=failure.task), Cell(content=failure.error, role="source")]
        for failure in report.failures
    ]
    return sortable_table(("Task", "Error"), rows, "Tasks that failed")


def setting_section(report: Report) -> Markup:
    """Settings, truncated texts, time, versions and machine."""
    shared = shared_settings(report)
    parts = [pair_table(shared, "Settings of all tasks")]
    cut = truncation(report)
    if cut:
        rows = [[Cell(content=text) for text in row] for row in cut]
        header = ("Task", "What", "How many")
        parts.append(sortable_table(header, rows, "Texts that the model did not see to the end"))
    seconds = seconds_by_task(report)
    if seconds:
        timed = [
            [Cell(content=task), number_cell(spent, f"{spent:,.1f}")]
            for task, spent in seconds.items()
        ]
        parts.append(sortable_table(("Task", "Seconds"), timed, "Time"))
    parts.append(pair_table(report.versions, "Versions"))
    parts.append(pair_table(_texts(report.machine), "Machine"))
    details = [_result_details(result, shared) for result in report.results]
    summary = element("summary", "All metrics, data and settings of every result")
    return joined([*parts, element("details", summary, *details) if details else Markup()])


def _worst_of_task(task: str, results: Sequence[TaskResult]) -> Markup:
    """One variant's items stand at once, those of several are opened one by one."""
    lists = [
        element("ol", *map(_worst_item, result.worst[:_MOST_WORST]), class_="worst")
        for result in results
    ]
    metric = metric_name(results[0].main_metric)
    inner = lists
    if len(results) > 1:
        inner = [
            element("details", element("summary", result.variant), items)
            for result, items in zip(results, lists, strict=True)
        ]
    return element("details", element("summary", f"{task}: {metric}"), *inner)


def _worst_item(item: WorstItem) -> Markup:
    parts = [
        element("p", element("b", item.item_id), f" {item.value:.3f}", class_="item"),
        element("p", item.text, class_="asked"),
    ]
    pairs = [
        joined([element("dt", name), element("dd", text)])
        for name, text in (("Expected", item.expected), ("Found", item.found))
        if text
    ]
    return element("li", *parts, element("dl", *pairs) if pairs else Markup())


def _result_details(result: TaskResult, shared: Mapping[str, str]) -> Markup:
    metrics = {metric_name(name): f"{value:.4f}" for name, value in result.metrics.items()}
    hashed = {"hash of the data": result.dataset_hash} if result.dataset_hash else {}
    return element(
        "details",
        element("summary", _named(result)),
        pair_table(metrics, "Metrics"),
        pair_table(dict(data_facts(result)) | hashed, "Data"),
        pair_table({k: f"{v:.2f}" for k, v in result.seconds.items()}, "Seconds"),
        pair_table(own_settings(result, shared), "Settings of its own"),
    )


def _named(result: TaskResult) -> str:
    label = task_label(result)
    return f"{label}, {result.variant}" if result.variant else label


def _texts(values: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items() if value not in (None, "")}
