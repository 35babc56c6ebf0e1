"""Quality against cost as one PNG: bytes per document and time per query, by width and precision.

Source: figure 4 of mGTE (arXiv 2407.19669) shows quality by width.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mgte.errors import BackendUnavailableError, DataError
from mgte.evaluate.records import Report, TaskResult
from mgte.evaluate.reports.curves import curve_results
from mgte.evaluate.reports.page.curve_section import curve_points
from mgte.evaluate.reports.page.points import Point, pareto_front
from mgte.evaluate.reports.row import metric_name

_COSTS = (("bytes_per_document", "bytes per document"), ("ms_per_query", "ms per query"))
_INK, _PALE = "#333333", "#bbbbbb"
_COLORS = ("#2f6fb5", "#d9822b", "#2e8b57", "#8e5bb5", "#8a939d", "#c2477f")
_MARKERS = "osD^vP"
_PANEL_INCHES = (5.4, 3.6)
# Points nearer than this factor would write their labels over each other.
_NEAR = 1.4


def plot_pareto(report: Report, path: str | Path) -> Path:
    """Draw the curves of a report.

    Args:
        report: A report with results of curve tasks.
        path: PNG file.

    Returns:
        The file.

    Raises:
        DataError: The report holds no curve.
        BackendUnavailableError: matplotlib is not installed.
    """
    tasks = curve_results(report)
    if not tasks:
        raise DataError(
            f"{report.model}: got a report without widths and precisions, expected a curve task",
            hint="mgte evaluate MODEL --suite efficiency",
        )
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise BackendUnavailableError(
            "plot: the package `matplotlib` is missing", hint="pip install 'mgte[eval]'"
        ) from None
    width, height = _PANEL_INCHES
    figure = Figure(figsize=(2 * width, 0.5 + height * len(tasks)), layout="constrained")
    figure.suptitle(report.model, color=_INK, fontsize=12, fontweight="bold")
    grid = figure.subplots(len(tasks), len(_COSTS), squeeze=False, sharey="row")
    for row, (task, results) in enumerate(tasks.items()):
        for column, (fact, name) in enumerate(_COSTS):
            _draw(grid[row][column], results, fact, name)
        grid[row][0].set_title(task, fontsize=10, color=_INK, loc="left")
        grid[row][0].set_ylabel(metric_name(results[0].main_metric), color=_INK)
        grid[row][0].legend(fontsize=8, frameon=False, loc="lower right")
    figure.savefig(path, dpi=130)
    return Path(path)


def _draw(axes: Any, results: Sequence[TaskResult], fact: str, name: str) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    points = curve_points(results, fact)
    axes.set_xscale("log")
    # Numbers as people write them: 0.05, not 5 x 10 to the power of -2.
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(visible=True, color="#eeeeee", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_PALE)
    axes.tick_params(labelsize=8, colors=_INK)
    axes.set_xlabel(name, color=_INK)
    front = pareto_front(points)
    places = [[point.x for point in front], [point.y for point in front]]
    axes.plot(*places, color=_PALE, linestyle="--", linewidth=1.2, zorder=1)
    for index, series in enumerate(dict.fromkeys(point.series for point in points)):
        own = [point for point in points if point.series == series]
        axes.scatter(
            [point.x for point in own],
            [point.y for point in own],
            s=26,
            color=_COLORS[index % len(_COLORS)],
            marker=_MARKERS[index % len(_MARKERS)],
            label=series,
            zorder=2,
        )
    _label(axes, front)


def _label(axes: Any, front: Sequence[Point]) -> None:
    """Widths beside the points of the front; neighbours of one width share a label."""
    last: Point | None = None
    for point in sorted(front, key=lambda point: point.x):
        if last is not None and last.label == point.label and point.x < _NEAR * last.x:
            continue
        last = point
        axes.annotate(
            point.label,
            (point.x, point.y),
            textcoords="offset points",
            xytext=(0, 6),
            ha="center",
            fontsize=7,
            color=_INK,
        )
