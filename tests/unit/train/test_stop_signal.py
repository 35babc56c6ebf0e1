"""A signal is heard wherever a run is, and what is said of it is true."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.laws.training_runs import recipe_values, run_here, weights_of

from mgte.train.stop_signal import StopSignal


@pytest.fixture
def values(tokenizer_folder: Path) -> dict[str, Any]:
    values = recipe_values(tokenizer_folder, steps=2, schedule={"kind": "linear"})
    second = {**values["stages"][0], "name": "more", "init_from": "mlm"}
    return {**values, "stages": [*values["stages"], second]}


@pytest.mark.parametrize("place", ["mark_done", "model", "next start"])
def test_a_signal_at_the_end_of_a_stage_stops_before_the_next_one(
    place: str, values: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    run_here(values, tmp_path / "straight", root)
    functions = {
        "mark_done": "mgte.train.run_folder.RunFolder.mark_done",
        "model": "mgte.train.stage_finishing.save_stage_model",
        "next start": "mgte.train.run.open_prepared",
    }
    out, told = tmp_path / "out", list[dict[str, Any]]()
    module, _, name = functions[place].rpartition(".")
    with pytest.MonkeyPatch.context() as patch:
        import importlib

        owner: Any = importlib.import_module(module.removesuffix(".RunFolder"))
        owner = getattr(owner, "RunFolder", owner) if place == "mark_done" else owner
        kept = getattr(owner, name)
        calls: list[int] = []

        def signalled(*given: Any, **options: Any) -> Any:
            calls.append(1)
            # The second time is the second stage's.
            if place != "next start" or len(calls) == 2:
                os.kill(os.getpid(), signal.SIGTERM)
            return kept(*given, **options)

        patch.setattr(owner, name, signalled)
        result = run_here(values, out, root, sinks=(told.append,))
    assert (result.status, result.signal) == ("interrupted", signal.SIGTERM)
    assert (result.stage, result.step) == ("more", 0)
    assert result.model == out / "01-mlm" / "model"
    words = [record["message"] for record in told if record["kind"] == "event"]
    assert not any("saved" in text for text in words)
    assert not list(out.glob("02-more/checkpoints/step-*"))
    assert run_here(values, out, root).status == "done"
    assert weights_of(out, "02-more") == weights_of(tmp_path / "straight", "02-more")


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopSignal() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert (stop.is_set, stop.number) == (True, signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_second_interrupt_ends_at_once() -> None:
    with StopSignal(), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
