"""Results at several widths and precisions of the same vectors: quality against its cost.

Loads no torch.
"""

from mgte.evaluate.records import Report, TaskResult
from mgte.evaluate.reports.row import metric_name, task_label

CURVE_TITLE = "Widths and precisions"


def is_of_curve(result: TaskResult | None) -> bool:
    """Whether a result is one of many widths and precisions of the same vectors."""
    return result is not None and {"width", "precision", "bytes_per_document"} <= set(result.facts)


def curve_results(report: Report) -> dict[str, list[TaskResult]]:
    """Task to its results at several widths and precisions; empty where there are none."""
    tasks: dict[str, list[TaskResult]] = {}
    for result in report.results:
        if is_of_curve(result):
            tasks.setdefault(task_label(result), []).append(result)
    return tasks


def curve_header(result: TaskResult) -> tuple[str, ...]:
    """Names of the columns of `curve_texts`."""
    metric = metric_name(result.main_metric)
    return ("Width", "Precision", "Bytes per document", "ms per query", metric, "95 % interval")


def curve_texts(result: TaskResult) -> list[str]:
    """A result of a curve as the cells of a table."""
    time = result.facts.get("ms_per_query")
    return [
        str(result.facts["width"]),
        str(result.facts["precision"]),
        f"{result.facts['bytes_per_document']:,}",
        "" if time is None else f"{time:.3g}",
        f"{result.main:.3f}",
        "" if result.interval is None else " to ".join(f"{end:.3f}" for end in result.interval),
    ]
