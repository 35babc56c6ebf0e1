"""Curves of a run as one PNG: loss, learning rate and evaluation of every stage, side by side.

Reads nothing but the logs (`metrics.jsonl`), so it works while a run goes on and on a copy of them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mgte.errors import BackendUnavailableError, DataError
from mgte.train.metrics import measurements, read_log, spoken_count

LOG_NAME = "metrics.jsonl"

_MAX_TERMS = 6
_PANEL_INCHES = 2.6
_WIDTH_INCHES = 11.0
_INK, _PALE = "#333333", "#bbbbbb"


@dataclass(slots=True)
class StageCurves:
    """What one stage logged.

    Attributes:
        name: The stage.
        steps: Per measurement its steps.
        values: Per measurement its values, beside `steps`.
        scores: Per score of an evaluation its (step, value) pairs.
    """

    name: str
    steps: dict[str, list[int]] = field(default_factory=dict)
    values: dict[str, list[float]] = field(default_factory=dict)
    scores: dict[str, list[tuple[int, float]]] = field(default_factory=dict)

    @property
    def last_step(self) -> int:
        """Steps that the log knows of."""
        ends = [steps[-1] for steps in self.steps.values()]
        return max([*ends, *(pairs[-1][0] for pairs in self.scores.values())], default=0)


def read_curves(folder: str | Path) -> list[StageCurves]:
    """Curves of all stages of a run, in the order of their folders.

    Args:
        folder: A run's folder (or a stage's).

    Returns:
        One record per stage that has logged anything.

    Raises:
        DataError: There is no log with a step in it.
    """
    logs = sorted(Path(folder).rglob(LOG_NAME))
    if not logs:
        raise DataError(
            f"{folder}: got no {LOG_NAME}, expected the folder of a run",
            hint="give the folder that was --out of `mgte train`",
        )
    stages: dict[str, StageCurves] = {}
    for log in logs:
        for record in read_log(log):
            name = str(record.get("stage", log.parent.name))
            _add(stages.setdefault(name, StageCurves(name)), record)
    found = [stage for stage in stages.values() if stage.last_step]
    if not found:
        raise DataError(f"{folder}: got logs without a single step, expected at least one")
    return found


def plot_curves(folder: str | Path, out: str | Path) -> Path:
    """Draw a run's curves.

    Args:
        folder: A run's folder.
        out: PNG file.

    Returns:
        The file.

    Raises:
        DataError: There is nothing to draw.
        BackendUnavailableError: matplotlib is not installed.
    """
    stages = read_curves(folder)
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise BackendUnavailableError(
            "curves: the package `matplotlib` is missing", hint="pip install 'mgte[train]'"
        ) from None
    panels = [
        "loss",
        *(["accuracy"] if any(_named(stage, "accuracy") for stage in stages) else []),
        "learning rate",
        *(["evaluation"] if any(stage.scores for stage in stages) else []),
    ]
    width = max(_WIDTH_INCHES, _PANEL_INCHES * len(stages))
    figure = Figure(figsize=(width, 0.9 + _PANEL_INCHES * len(panels)), layout="constrained")
    widths = [max(stage.last_step, 1) for stage in stages]
    # A stage of few steps must stay readable beside one of many.
    grid = figure.subplots(
        len(panels),
        len(stages),
        squeeze=False,
        sharex="col",
        width_ratios=[max(width, 0.5 * max(widths)) for width in widths],
    )
    figure.suptitle(Path(folder).resolve().name, color=_INK, fontsize=12, fontweight="bold")
    drawings = {
        "loss": _draw_loss,
        "accuracy": _draw_accuracy,
        "learning rate": _draw_rate,
        "evaluation": _draw_scores,
    }
    for column, stage in enumerate(stages):
        for row, panel in enumerate(panels):
            axes = grid[row][column]
            _prepare(axes, stage)
            drawings[panel](axes, stage)
            axes.set_ylabel(panel if column == 0 else "", color=_INK)
        grid[0][column].set_title(stage.name, fontsize=10, color=_INK)
        grid[-1][column].set_xlabel("step", color=_INK)
    _same_scale(grid[panels.index("evaluation")] if "evaluation" in panels else ())
    figure.savefig(out, dpi=130)
    return Path(out)


def _add(stage: StageCurves, record: dict[str, Any]) -> None:
    if record.get("kind") not in ("step", "evaluation"):
        return
    step = int(record.get("step", 0))
    for name, value in measurements(record).items():
        if record["kind"] == "evaluation":
            stage.scores.setdefault(name, []).append((step, value))
        else:
            stage.steps.setdefault(name, []).append(step)
            stage.values.setdefault(name, []).append(value)


def _prepare(axes: Any, stage: StageCurves) -> None:
    axes.grid(visible=True, color="#eeeeee", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_PALE)
    axes.tick_params(labelsize=8, colors=_INK)
    axes.set_xlim(0, max(stage.last_step, 1))
    axes.locator_params(axis="x", nbins=4, integer=True)
    axes.xaxis.set_major_formatter(lambda value, position: spoken_count(value))


def _draw_loss(axes: Any, stage: StageCurves) -> None:
    terms = [name for name in _named(stage, "loss") if name != "loss"][:_MAX_TERMS]
    for name in terms:
        axes.plot(
            stage.steps[name], stage.values[name], linewidth=0.9, alpha=0.75, label=_short(name)
        )
    if "loss" in stage.values:
        steps, values = stage.steps["loss"], stage.values["loss"]
        axes.plot(steps, values, color=_PALE, linewidth=0.8)
        axes.plot(steps, _smoothed(values), color=_INK, linewidth=1.6, label="loss")
        highest = max(max(stage.values[name]) for name in ["loss", *terms])
        axes.set_ylim(bottom=min(0.0, min(values)), top=highest * 1.05 or 1.0)
    if terms:
        axes.legend(fontsize=7, frameon=False, loc="upper right")


def _draw_accuracy(axes: Any, stage: StageCurves) -> None:
    names = _named(stage, "accuracy")[:_MAX_TERMS]
    for name in names:
        steps, values = stage.steps[name], stage.values[name]
        (line,) = axes.plot(steps, values, linewidth=0.8, alpha=0.35)
        color = line.get_color()
        axes.plot(steps, _smoothed(values), linewidth=1.4, color=color, label=_short(name))
    axes.set_ylim(0, 1)
    if names:
        axes.legend(fontsize=7, frameon=False, loc="lower right")
    else:
        _leave_empty(axes, "not measured")


def _draw_rate(axes: Any, stage: StageCurves) -> None:
    if "lr" in stage.values:
        axes.plot(stage.steps["lr"], stage.values["lr"], color="#2a7fb8", linewidth=1.4)
        axes.set_ylim(bottom=0)
        axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
        axes.yaxis.get_offset_text().set_fontsize(8)


def _draw_scores(axes: Any, stage: StageCurves) -> None:
    drawn: list[list[tuple[int, float]]] = []
    # The mean over collections says nothing new where there is one collection: it is drawn once.
    for name, pairs in sorted(stage.scores.items(), key=lambda item: "/" not in item[0]):
        if pairs in drawn:
            continue
        drawn.append(pairs)
        steps, values = zip(*pairs, strict=True)
        label = f"{_short(name)}  {values[-1]:.3f}"
        axes.plot(steps, values, marker="o", markersize=3, linewidth=1.3, label=label)
    if stage.scores:
        # Below the panel: lines of several collections leave no room inside.
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.22), "ncols": 2}
        axes.legend(fontsize=7, frameon=False, title="last value", title_fontsize=7, **below)
    else:
        _leave_empty(axes, "not evaluated")


def _leave_empty(axes: Any, words: str) -> None:
    axes.set_yticks([])
    axes.grid(visible=False)
    place = {"transform": axes.transAxes, "ha": "center", "fontsize": 9}
    axes.text(0.5, 0.5, words, color=_PALE, **place)


def _named(stage: StageCurves, name: str) -> list[str]:
    """Measurements of this name and of its parts: loss, loss_dense, loss_sparse."""
    return [key for key in stage.values if key == name or key.startswith(f"{name}_")]


def _same_scale(row: Iterable[Any]) -> None:
    """Evaluations of all stages on one scale, so that stages can be compared."""
    drawn = [axes for axes in row if axes.lines]
    if drawn:
        low = min(axes.get_ylim()[0] for axes in drawn)
        high = max(axes.get_ylim()[1] for axes in drawn)
        for axes in drawn:
            axes.set_ylim(low, high)


def _smoothed(values: Sequence[float]) -> list[float]:
    """Mean over as many neighbours on both sides, at most a fortieth of the curve on each."""
    most = len(values) // 40
    smooth = []
    for i in range(len(values)):
        reach = min(most, i, len(values) - 1 - i)
        window = values[i - reach : i + reach + 1]
        smooth.append(sum(window) / len(window))
    return smooth


def _short(name: str) -> str:
    """The end of a long name."""
    return name if len(name) <= 28 else "…" + name[-27:]
