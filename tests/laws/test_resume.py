"""Law: a run that was interrupted anywhere ends as the run that was not."""

import errno
import json
import os
import signal
import time
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.laws.training_runs import (
    STEPS_PER_EPOCH,
    best_at_step_6,
    last_checkpoint,
    losses_of,
    recipe_values,
    run_here,
    run_together,
    start,
    weights_of,
    write_texts,
)

from mgte.errors import ConfigError, TrainingError
from mgte.train.objectives.masked_lm import MaskedLMObjective

BATCHES_PER_STEP = 2


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    write_texts(folder)
    return folder


@pytest.fixture(scope="module")
def values(tokenizer_folder: Path) -> dict[str, Any]:
    return recipe_values(tokenizer_folder)


@pytest.fixture(scope="module")
def straight(root: Path, values: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody interrupts."""
    out = tmp_path_factory.mktemp("straight")
    assert run_here(values, out, root).status == "done"
    return out


def stop_in_batch(monkeypatch: pytest.MonkeyPatch, number: int, sign: int) -> None:
    """Send this process a signal while it computes a batch of the run, counted from 0."""
    seen = iter(range(10_000))
    accumulate = MaskedLMObjective.accumulate

    def counted(self: MaskedLMObjective, *arguments: Any) -> Any:
        if next(seen) == number:
            os.kill(os.getpid(), sign)
        return accumulate(self, *arguments)

    monkeypatch.setattr(MaskedLMObjective, "accumulate", counted)


def assert_same_end(out: Path, straight: Path) -> None:
    assert weights_of(out) == weights_of(straight)
    assert last_checkpoint(out) == last_checkpoint(straight)
    assert losses_of(out) == losses_of(straight)


PLACES = {
    "first step": 1,
    "mid-epoch": 2 * BATCHES_PER_STEP + 1,
    "inside accumulation": 2 * BATCHES_PER_STEP,
    "end of an epoch": STEPS_PER_EPOCH * BATCHES_PER_STEP - 1,
    "start of the second epoch": STEPS_PER_EPOCH * BATCHES_PER_STEP,
    "third epoch": (2 * STEPS_PER_EPOCH + 1) * BATCHES_PER_STEP + 1,
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_the_run_goes_on_bit_for_bit(
    place: str, sign: int, root: Path, values: dict[str, Any], straight: Path, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        stop_in_batch(monkeypatch, PLACES[place], sign)
        result = run_here(values, tmp_path, root)
    assert (result.status, result.signal) == ("interrupted", sign)
    assert run_here(values, tmp_path, root).status == "done"
    assert_same_end(tmp_path, straight)


def test_a_step_that_was_begun_is_dropped(
    root: Path, values: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        stop_in_batch(monkeypatch, 4 * BATCHES_PER_STEP, signal.SIGTERM)
        run_here(values, tmp_path, root)
    steps = sorted(path.name for path in (tmp_path / "01-mlm" / "checkpoints").iterdir())
    assert steps == ["step-0000003", "step-0000004"]


def test_one_run_at_a_time_in_a_folder(root: Path, values: dict[str, Any], tmp_path: Path) -> None:
    from mgte.config import from_dict
    from mgte.train import Recipe
    from mgte.train.run_folder import RunFolder

    with (
        RunFolder(tmp_path, from_dict(Recipe, values)).held(),
        pytest.raises(ConfigError, match="another run is at work there"),
    ):
        run_here(values, tmp_path, root)
    assert run_here(values, tmp_path, root).status == "done"


def test_interrupted_again_and_again(
    root: Path, values: dict[str, Any], straight: Path, tmp_path: Path
) -> None:
    for _ in range(30):
        with pytest.MonkeyPatch.context() as monkeypatch:
            stop_in_batch(monkeypatch, 3, signal.SIGTERM)
            if run_here(values, tmp_path, root).status == "done":
                break
    assert_same_end(tmp_path, straight)


def test_a_damaged_checkpoint_costs_steps_and_nothing_else(
    root: Path, values: dict[str, Any], straight: Path, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        stop_in_batch(monkeypatch, 7 * BATCHES_PER_STEP + 1, signal.SIGTERM)
        run_here(values, tmp_path, root)
    newest = sorted((tmp_path / "01-mlm" / "checkpoints").iterdir())[-1]
    file = newest / "optimizer.safetensors"
    file.write_bytes(file.read_bytes()[:-10])
    told: list[dict[str, Any]] = []
    run_here(values, tmp_path, root, sinks=(told.append,))
    messages = [record["message"] for record in told if record["kind"] == "event"]
    assert any(f"{newest.name}: damaged" in message for message in messages)
    assert_same_end(tmp_path, straight)


def test_a_loss_that_is_no_number_stops_and_leaves_the_last_checkpoint(
    root: Path, values: dict[str, Any], straight: Path, tmp_path: Path
) -> None:
    seen = iter(range(10_000))
    accumulate = MaskedLMObjective.accumulate

    def spoiled(self: MaskedLMObjective, *arguments: Any) -> Any:
        terms = dict(accumulate(self, *arguments))
        if next(seen) == 7 * BATCHES_PER_STEP + 1:
            terms["loss"].total.mul_(float("nan"))
        return terms

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(MaskedLMObjective, "accumulate", spoiled)
        with pytest.raises(TrainingError, match=r"stages\.mlm: step 7 has loss nan") as caught:
            run_here(values, tmp_path, root)
    assert "s rows [" in caught.value.message
    assert "checkpoints/step-0000006" in str(caught.value.hint)
    run_here(values, tmp_path, root)
    assert_same_end(tmp_path, straight)


@pytest.mark.parametrize("place", ["checkpoint", "model"])
def test_a_full_disk_loses_nothing(
    place: str, root: Path, values: dict[str, Any], straight: Path, tmp_path: Path
) -> None:
    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    functions = {
        "checkpoint": "mgte.train.checkpoint_writer.write_tensors",
        "model": "mgte.train.stage_finishing.save_stage_model",
    }
    with pytest.MonkeyPatch.context() as monkeypatch:
        stop_in_batch(monkeypatch, 4 * BATCHES_PER_STEP + 1, signal.SIGTERM)
        run_here(values, tmp_path, root)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(functions[place], full)
        with pytest.raises(TrainingError, match=r"cannot be written .*No space left"):
            run_here(values, tmp_path, root)
    checkpoints = tmp_path / "01-mlm" / "checkpoints"
    assert not list(checkpoints.glob(".writing-*"))
    assert not (tmp_path / "01-mlm" / "DONE").exists()
    run_here(values, tmp_path, root)
    assert_same_end(tmp_path, straight)


def test_another_seed_or_setting_is_refused_and_free_ones_are_not(
    root: Path, values: dict[str, Any], straight: Path, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        stop_in_batch(monkeypatch, 9, signal.SIGTERM)
        run_here(values, tmp_path, root)

    def changed(path: str, value: Any) -> dict[str, Any]:
        from mgte.config import override

        return override(values, {path: value})

    refused = {
        "seed: got 6": changed("seed", 6),
        r"stages\.mlm\.optimizer\.lr: got 0\.02": changed("stages.0.optimizer.lr", 0.02),
        r"stages\.mlm\.precision": changed("stages.0.precision", "bfloat16"),
        r"stages\.mlm\.data\.rows_per_batch": changed("stages.0.data.rows_per_batch", 6),
        r"stages\.mlm\.scratch\.hidden_size": changed("encoder.hidden_size", 32),
    }
    for message, other in refused.items():
        with pytest.raises(ConfigError, match=message):
            run_here(other, tmp_path, root)
    free = changed("stages.0.checkpoint.every_steps", 5)
    free["stages"][0] |= {"activation_checkpointing": True}
    run_here(free, tmp_path, root)
    assert weights_of(tmp_path) == weights_of(straight)


@pytest.mark.parametrize(("steps", "decay"), [(16, 4), (10, 4), (12, 2)])
def test_before_its_fall_a_run_is_prolonged_or_shortened_bit_for_bit(
    steps: int, decay: int, root: Path, values: dict[str, Any], tmp_path: Path
) -> None:
    schedule = {**values["stages"][0]["schedule"], "decay": decay}
    other = {**values, "stages": [{**values["stages"][0], "steps": steps, "schedule": schedule}]}
    run_here(other, tmp_path / "straight", root)
    with pytest.MonkeyPatch.context() as monkeypatch:
        stop_in_batch(monkeypatch, 6 * BATCHES_PER_STEP, signal.SIGTERM)
        run_here(values, tmp_path / "out", root)
    assert run_here(other, tmp_path / "out", root).status == "done"
    assert_same_end(tmp_path / "out", tmp_path / "straight")


def test_within_its_fall_a_run_keeps_its_length(
    root: Path, values: dict[str, Any], straight: Path, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        stop_in_batch(monkeypatch, 10 * BATCHES_PER_STEP, signal.SIGTERM)
        run_here(values, tmp_path, root)
    for length in (16, 9):
        longer = {**values, "stages": [{**values["stages"][0], "steps": length}]}
        with pytest.raises(ConfigError, match=rf"stages\.mlm\.steps: got {length}, but .* with 12"):
            run_here(longer, tmp_path, root)
    run_here(values, tmp_path, root)
    assert_same_end(tmp_path, straight)


@pytest.mark.slow
def test_the_order_of_the_data_does_not_depend_on_the_number_of_processes(
    root: Path, values: dict[str, Any], tmp_path: Path
) -> None:
    def whole(out: Path, size: int, step: int) -> list[list[int]]:
        """Rows of the step's batches, the processes' shares laid end to end."""
        shares = [
            json.loads((out / f"rows-{step:03d}-{rank}-of-{size}").read_text())
            for rank in range(size)
        ]
        return [[*chain.from_iterable(parts)] for parts in zip(*shares, strict=True)]

    one, some = tmp_path / "one", tmp_path / "some"
    run_together(1, values, one, root)
    part = {**values, "stages": [{**values["stages"][0], "checkpoint": {"every_steps": 6}}]}
    run_together(4, part, some, root)
    # As if the machine had died after step 6: the later half is done again by two.
    (some / "01-mlm" / "DONE").unlink()
    for later in (some / "01-mlm" / "checkpoints").glob("step-0000012"):
        (later / "state.json").unlink()
    run_together(2, part, some, root)
    for step in range(12):
        rows = whole(one, 1, step)
        assert sum(map(len, rows)) == 10
        assert whole(some, 4, step) == rows
        if step >= 6:
            assert whole(some, 2, step) == rows
    alone, together = losses_of(one), losses_of(some)
    # The loss is the same function of the same rows; dropout differs from process to process.
    assert alone.keys() == together.keys()


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_several_processes_are_measured_once_and_keep_the_best(
    parallel: str, root: Path, values: dict[str, Any], tmp_path: Path
) -> None:
    measured = {
        **values["stages"][0],
        "parallel": parallel,
        "evaluation": {"data": ["x"], "every_steps": 3},
        "output": {"weights": "best"},
    }
    out = tmp_path / "out"
    run_together(2, {**values, "stages": [measured]}, out, root, (best_at_step_6,))
    shown = {path.stem for path in (out / "01-mlm").glob("evaluated-*.safetensors")}
    assert shown == {f"evaluated-{step}" for step in (3, 6, 9, 12)}
    best = load_file(out / "01-mlm" / "evaluated-6.safetensors")
    last = load_file(out / "01-mlm" / "evaluated-12.safetensors")
    kept = load_file(out / "01-mlm" / "model" / "model.safetensors")
    assert all(torch.equal(kept[name], tensor) for name, tensor in best.items())
    assert any(not torch.equal(kept[name], tensor) for name, tensor in last.items())


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_a_signal_to_one_process_stops_all_at_the_same_step(
    parallel: str, root: Path, values: dict[str, Any], tmp_path: Path
) -> None:
    longer = {**values["stages"][0], "steps": 400, "parallel": parallel}
    long = {**values, "stages": [longer]}
    out = tmp_path / "out"
    processes = [start(long, out, root, (rank, 2, tmp_path / "store")) for rank in range(2)]
    while not (out / "rows-005-1-of-2").exists():
        assert all(process.is_alive() for process in processes)
        time.sleep(0.01)
    processes[1].terminate()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [75, 75]
    last = max(losses_of(out))
    newest = sorted((out / "01-mlm" / "checkpoints").iterdir())[-1]
    assert newest.name == f"step-{last:07d}"
    assert 5 <= last < 400
