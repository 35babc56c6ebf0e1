"""write_reports: every file that tells of a run."""

from pathlib import Path

from mgte.evaluate.records import Report, write_report
from mgte.evaluate.reports.curves import curve_results
from mgte.evaluate.reports.html import write_html
from mgte.evaluate.reports.markdown import write_markdown
from mgte.evaluate.reports.pareto_plot import plot_pareto


def write_reports(report: Report, out: Path) -> None:
    """Write a report as JSON, Markdown and HTML.

    Args:
        report: The report.
        out: Folder for `report.json`, `report.md` and `report.html`; where widths or precisions
            were measured, `pareto.png` too.
    """
    write_report(report, out / "report.json")
    write_markdown(report, out / "report.md")
    write_html(report, out / "report.html")
    if curve_results(report):
        plot_pareto(report, out / "pareto.png")
