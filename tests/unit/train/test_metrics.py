"""Logs: what is written, what survives an interruption, what a person sees."""

import io
import json
import math
from pathlib import Path

import pytest

from mgte.train.metrics import (
    ConsoleSink,
    TensorBoardSink,
    measurements,
    open_log,
    read_log,
    spoken_count,
    spoken_time,
)


def step_record(step: int, **more) -> dict:
    return {
        "kind": "step",
        "stage": "mlm",
        "step": step,
        "steps": 100,
        "loss": 9.0 / step,
        "lr": 1e-4,
        "tokens_per_s": 12_345.6,
        "tokens_seen": 512 * step,
        "grad_norm": 1.5,
        "eta_s": 200.0,
        **more,
    }


def test_what_is_logged_is_read_back(tmp_path: Path) -> None:
    sink = open_log(tmp_path / "new" / "metrics.jsonl")
    records = [step_record(1), {"kind": "event", "stage": "mlm", "step": 1, "message": "saved: é"}]
    for record in records:
        sink(record)
    # Every line is there before the file is closed.
    assert read_log(sink.path) == records
    sink.close()
    sink.close()


def test_a_resumed_log_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    straight, broken = tmp_path / "straight.jsonl", tmp_path / "broken.jsonl"
    sink = open_log(straight)
    for step in range(1, 11):
        sink(step_record(step))
    sink.close()
    first = open_log(broken)
    for step in range(1, 8):
        first(step_record(step))
    first.close()
    with broken.open("a", encoding="utf-8") as file:
        file.write('{"kind": "step", "stage": "ml')  # the crash
    second = open_log(broken, resume_step=5)
    for step in range(6, 11):
        second(step_record(step))
    second.close()
    assert broken.read_text() == straight.read_text()


def test_a_fresh_start_forgets_an_old_log(tmp_path: Path) -> None:
    for _ in range(2):
        sink = open_log(tmp_path / "metrics.jsonl")
        sink(step_record(1))
        sink.close()
    assert len(read_log(tmp_path / "metrics.jsonl")) == 1


def test_an_evaluation_of_the_last_saved_step_stays(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    sink = open_log(path)
    sink(step_record(5))
    sink({"kind": "evaluation", "stage": "mlm", "step": 5, "ndcg_at_10": 0.5})
    sink(step_record(6))
    sink.close()
    open_log(path, resume_step=5).close()
    assert [record["kind"] for record in read_log(path)] == ["step", "evaluation"]


def test_a_number_that_json_has_not_becomes_null(tmp_path: Path) -> None:
    import torch

    sink = open_log(tmp_path / "metrics.jsonl")
    sink(step_record(1, loss=math.nan, terms={"sparse": torch.tensor(0.5)}, dims=(32, 64)))
    sink.close()
    (line,) = sink.path.read_text().splitlines()
    record = json.loads(line, parse_constant=lambda name: pytest.fail(name))
    assert record["loss"] is None
    assert record["terms"] == {"sparse": 0.5}
    assert record["dims"] == [32, 64]


def test_without_a_terminal_every_record_is_a_line() -> None:
    stream = io.StringIO()
    sink = ConsoleSink(stream)
    sink(step_record(10))
    sink({"kind": "evaluation", "stage": "mlm", "step": 10, "ndcg_at_10": 0.25})
    sink({"kind": "event", "stage": "mlm", "step": 10, "message": "saved"})
    sink.close()
    first, second, third = stream.getvalue().splitlines()
    assert "mlm step 10/100  loss 0.9  lr 1.00e-04  12.3k tokens/s  3m20s left" in first
    assert "evaluation: ndcg_at_10 0.25" in second
    assert third.endswith("saved")


def test_on_a_terminal_one_line_per_stage_is_redrawn() -> None:
    stream = io.StringIO()
    sink = ConsoleSink(stream, is_live=True)
    for stage in ("first", "second"):
        for step in (1, 2):
            sink(step_record(step, stage=stage))
    sink.close()
    text = stream.getvalue()
    assert text.count("\n") == 2
    first, second = text.split("\n")[:2]
    assert "first" in first
    assert "second" not in first
    assert "second" in second
    assert "3m20s left" in text


def test_tensorboard_holds_every_number_by_stage(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    sink = TensorBoardSink(tmp_path)
    for step in (1, 2):
        sink(step_record(step))
    sink.close()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [point.step for point in events.Scalars("mlm/loss")] == [1, 2]
    assert events.Scalars("mlm/loss")[0].value == pytest.approx(9.0)


def test_measurements_leave_out_frame_and_words() -> None:
    found = measurements({**step_record(1), "eval": {"fiqa": {"ndcg": 0.5}}, "note": "words"})
    assert "step" not in found
    assert "note" not in found
    assert found["eval/fiqa/ndcg"] == 0.5


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0s"), (59, "59s"), (200, "3m20s"), (7500, "2h05m"), (2e5, "2d07h")]
)
def test_durations_are_read_by_people(seconds: float, text: str) -> None:
    assert spoken_time(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"), [(950, "950"), (9_999, "9,999"), (12_345, "12.3k"), (3.05e8, "305M")]
)
def test_counts_are_read_by_people(number: float, text: str) -> None:
    assert spoken_count(number) == text
