"""The plot of the speeds: one panel per precision, one group of bars per workload."""

from pathlib import Path
from typing import Any

import numpy as np
from comparison import batched_peers, speed, tuned_peers

_SHAPE = "gte-base"
_PRECISIONS = ("fp32", "bf16", "int8")
_COLOURS = {"transformers": "#9aa5b1", "batched": "#5b8def", "tuned": "#f2a541", "mgte": "#1f9d6b"}
_LABELS = {
    "transformers": "transformers / ONNX Runtime (padded)",
    "batched": "best padded engine",
    "tuned": "OpenVINO tuned, best",
    "mgte": "mgte (auto)",
}


def plot_speeds(cells: dict[str, Any], path: Path) -> bool:
    """Draw gte-base's tokens per second; returns whether there was anything to draw."""
    measured = {
        precision: {
            name.split("/")[1]: cell
            for name, cell in cells.items()
            if name.startswith(f"{_SHAPE}/") and name.endswith(f"/{precision}")
        }
        for precision in _PRECISIONS
    }
    if not any(measured.values()):
        return False
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 3, figsize=(14, 4.2))
    for panel, (precision, by_workload) in zip(panels, measured.items(), strict=True):
        _draw(panel, precision, by_workload)
    panels[0].set_ylabel("real tokens per second")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncol=4, frameon=False)
    figure.suptitle(f"{_SHAPE} shape on a CPU: higher is better")
    figure.tight_layout(rect=(0, 0.07, 1, 1))
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
    return True


def _draw(panel: Any, precision: str, by_workload: dict[str, Any]) -> None:
    workloads = sorted(by_workload)
    places = np.arange(len(workloads))
    width = 0.8 / len(_LABELS)
    for number, kind in enumerate(_LABELS):
        heights = [_fastest(by_workload[name], kind, precision) for name in workloads]
        bars = panel.bar(
            places + (number - 1.5) * width,
            heights,
            width,
            color=_COLOURS[kind],
            label=_LABELS[kind],
        )
        texts = [f"{height:,.0f}" if height else "" for height in heights]
        panel.bar_label(bars, labels=texts, fontsize=6, rotation=90, padding=2)
    panel.set_title(precision)
    panel.set_xticks(places, workloads)
    panel.margins(y=0.18)
    panel.spines[["top", "right"]].set_visible(False)


def _fastest(cell: dict[str, Any], kind: str, precision: str) -> float:
    plain = [name for name in cell["engines"] if name.startswith(("transformers", "onnxruntime"))]
    names = {
        "transformers": plain,
        "batched": batched_peers(cell),
        "tuned": tuned_peers(cell),
        "mgte": [name for name in cell["engines"] if name == f"mgte auto {precision}"],
    }[kind]
    return max((speed(cell, name) for name in names), default=0.0)
