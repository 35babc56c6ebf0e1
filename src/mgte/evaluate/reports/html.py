"""A report as one HTML file that needs nothing else: charts, tables, worst items. No torch."""

from pathlib import Path

from mgte.evaluate.records import Report, TaskKind
from mgte.evaluate.reports.curves import CURVE_TITLE, is_of_curve
from mgte.evaluate.reports.facts import efficiency_notes, missing_tasks
from mgte.evaluate.reports.page.bars import Bar, BarGroup, bar_chart
from mgte.evaluate.reports.page.curve_section import curve_section
from mgte.evaluate.reports.page.detail_sections import (
    failure_section,
    setting_section,
    worst_section,
)
from mgte.evaluate.reports.page.document import page_document
from mgte.evaluate.reports.page.efficiency_section import efficiency_section
from mgte.evaluate.reports.page.elements import Markup, element, joined
from mgte.evaluate.reports.page.result_sections import (
    kind_section,
    language_section,
    length_section,
)
from mgte.evaluate.reports.row import KIND_TITLES, ReportRow, metric_name
from mgte.evaluate.reports.rows import rows_by_kind
from mgte.text import replace_text


def write_html(report: Report, path: Path) -> None:
    """Write a report as one HTML file; it appears whole or not at all.

    Args:
        report: The report.
        path: The file.
    """
    replace_text(path, report_html(report))


def report_html(report: Report) -> str:
    """A report as the text of one HTML file.

    Args:
        report: The report.

    Returns:
        The text; it fetches nothing, and every text of the report is escaped.
    """
    by_kind = rows_by_kind(report)
    sections: dict[str, Markup] = {"Summary": _summary(by_kind)}
    for kind, rows in by_kind.items():
        content = kind_section(rows)
        if kind == "efficiency":
            notes = [element("p", text, class_="hint") for text in efficiency_notes(report)]
            content = joined([efficiency_section(report), content, *notes])
        sections[KIND_TITLES[kind]] = content
    sections["Languages"] = language_section(report)
    sections["Lengths"] = length_section(report)
    sections[CURVE_TITLE] = curve_section(report)
    sections["Worst items"] = worst_section(report)
    sections["Failures"] = failure_section(report)
    sections["Settings and data"] = setting_section(report)
    return page_document(f"Evaluation of {report.model}", _intro(report), sections)


def _intro(report: Report) -> Markup:
    facts = {
        "Revision": report.revision,
        "Reranker": report.reranker,
        "Suite": report.suite,
        "Measured": report.created,
        "Results": str(len(report.results)),
    }
    shown = [
        element("div", element("dt", name), element("dd", value))
        for name, value in facts.items()
        if value
    ]
    told = []
    missing = missing_tasks(report)
    if missing:
        told.append(element("p", f"Not measured yet: {missing}.", class_="notice"))
    if report.failures:
        names = ", ".join(failure.task for failure in report.failures)
        told.append(element("p", f"Failed: {names}.", class_="alert", role="alert"))
    return joined([element("dl", *shown, class_="facts"), *told])


def _summary(by_kind: dict[TaskKind, tuple[ReportRow, ...]]) -> Markup:
    """Mean of every kind of task, and how far published numbers are."""
    groups = []
    for kind, rows in by_kind.items():
        if kind != "efficiency":
            groups += _means(kind, rows)
    parts = []
    if groups:
        parts.append(bar_chart(groups, "Mean of the main metric over the tasks of each kind"))
        words = "Plain means over tasks that have the variant; in brackets, how many tasks."
        parts.append(element("p", words, class_="hint"))
    compared = [row for rows in by_kind.values() for row in rows if row.difference is not None]
    if compared:
        largest = max(abs(row.difference or 0.0) for row in compared)
        words = (
            f"Beside a published value of the same protocol: {len(compared)}; the largest "
            f"difference is {largest:.3f}."
        )
        parts.append(element("p", words))
    return joined(parts)


def _means(kind: TaskKind, rows: tuple[ReportRow, ...]) -> list[BarGroup]:
    values: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if row.result is None or is_of_curve(row.result):
            continue
        main = row.result.main_metric
        # One scale per bar: nDCG and recall are not averaged with each other. A result has a row
        # for every metric that something was published for, and counts once.
        if row.metric == metric_name(main):
            values.setdefault(main, {}).setdefault(row.variant, []).append(row.result.main)
    groups = []
    for metric, variants in values.items():
        counts = sorted({len(found) for found in variants.values()})
        number = " to ".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
        bars = tuple(
            Bar(series=variant, value=sum(found) / len(found), detail=f"{len(found)} tasks")
            for variant, found in variants.items()
        )
        label = f"{KIND_TITLES[kind]}, {metric_name(metric)} ({number})"
        groups.append(BarGroup(label=label, bars=bars))
    return groups
