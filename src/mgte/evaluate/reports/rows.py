"""Rows of a report: every result, and means over benchmarks, beside the published number.

A difference is given only where the protocol is the same; otherwise the row says what differs.
Loads no torch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from mgte.evaluate.records import Report, TaskKind, TaskResult
from mgte.evaluate.reports.means import mean_rows
from mgte.evaluate.reports.protocols import numbers_beside, protocol_differences
from mgte.evaluate.reports.published import Published, place_of
from mgte.evaluate.reports.row import ReportRow, metric_name, task_label


def report_rows(report: Report) -> tuple[ReportRow, ...]:
    """Rows of all results, then means over benchmarks of which several parts were measured.

    Args:
        report: The report.

    Returns:
        Rows in the order of the report, means behind the results of their kind.
    """
    rows = [row for result in report.results for row in _rows_of(result, report)]
    means = list(mean_rows(report))
    kinds = dict.fromkeys(result.kind for result in report.results)
    return tuple(row for kind in kinds for row in (*rows, *means) if row.kind == kind)


def rows_by_kind(report: Report) -> dict[TaskKind, tuple[ReportRow, ...]]:
    """Rows of `report_rows`, kind by kind."""
    rows = report_rows(report)
    return {
        kind: tuple(row for row in rows if row.kind == kind)
        for kind in dict.fromkeys(row.kind for row in rows)
    }


def _rows_of(result: TaskResult, report: Report) -> Iterator[ReportRow]:
    """One row for the main metric, and one for every other that something was published for."""
    numbers = numbers_beside(result.variant, place_of(result), report)
    by_metric: dict[str, list[Published]] = {result.main_metric: []}
    for number in numbers:
        metric = number.metric or result.main_metric
        # What we did not measure stands beside the main metric, without a difference.
        by_metric.setdefault(metric if metric in result.metrics else result.main_metric, []).append(
            number
        )
    for metric, beside in by_metric.items():
        yield _row(result, metric, beside, report)


def _row(
    result: TaskResult, metric: str, numbers: Sequence[Published], report: Report
) -> ReportRow:
    row = ReportRow(
        kind=result.kind,
        task=task_label(result),
        variant=result.variant,
        metric=metric_name(metric),
        value=result.metrics[metric],
        interval=result.interval if metric == result.main_metric else None,
        num_items=result.num_items,
        result=result,
    )
    if not numbers:
        return row
    published = min(numbers, key=lambda number: len(protocol_differences(result, report, number)))
    notes = protocol_differences(result, report, published)
    return replace(
        row,
        published=published,
        others=tuple(number for number in numbers if number is not published),
        difference=None if notes else row.value - published.value,
        notes=notes,
    )
