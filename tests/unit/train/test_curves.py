"""Curves are read from the logs as they are, and the picture is one that a browser opens."""

import math
from pathlib import Path

import pytest

from mgte.errors import DataError
from mgte.train.curves import plot_curves, read_curves
from mgte.train.metrics import open_log


def log_stage(run: Path, folder: str, stage: str, steps: int, *, evaluated: bool) -> None:
    sink = open_log(run / folder / "metrics.jsonl")
    for step in range(1, steps + 1):
        loss = 2 + 6 * math.exp(-step / 20)
        lr = 1e-3 * (1 - step / steps)
        terms = {"loss_sparse": loss / 3, "loss_dense": loss / 2, "accuracy": 2 / loss}
        sink({"kind": "step", "stage": stage, "step": step, "loss": loss, "lr": lr, **terms})
        if evaluated and step % 10 == 0:
            sink({"kind": "evaluation", "stage": stage, "step": step, "dev/ndcg_at_10": 1 / loss})
    sink.close()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    log_stage(tmp_path, "01-masked", "masked", 40, evaluated=False)
    log_stage(tmp_path, "02-embed", "embed", 80, evaluated=True)
    return tmp_path


def test_curves_hold_what_was_logged(run: Path) -> None:
    masked, embed = read_curves(run)
    assert (masked.name, masked.last_step, masked.scores) == ("masked", 40, {})
    assert embed.steps["loss"] == list(range(1, 81))
    assert [step for step, _ in embed.scores["dev/ndcg_at_10"]] == list(range(10, 81, 10))


def test_the_picture_is_a_png(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    out = plot_curves(run, tmp_path / "curves.png")
    assert out.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert out.stat().st_size > 10_000


def test_one_step_without_evaluation_can_be_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    log_stage(tmp_path, "01", "only", 1, evaluated=False)
    assert plot_curves(tmp_path, tmp_path / "curves.png").is_file()


def test_a_folder_without_logs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"metrics\.jsonl"):
        read_curves(tmp_path)
    (tmp_path / "metrics.jsonl").write_text("")
    with pytest.raises(DataError, match="single step"):
        read_curves(tmp_path)
