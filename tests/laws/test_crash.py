"""Law: a run that is killed at any moment, also while it saves, ends as the run that was not."""

import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.laws.training_runs import (
    last_checkpoint,
    losses_of,
    recipe_values,
    run_here,
    start,
    weights_of,
    write_texts,
)

NUM_KILLS = 20
STEPS = 200
# Long enough for a process to start, short enough that none finishes.
LONGEST_LIFE_S = 1.2


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    write_texts(folder)
    return folder


@pytest.fixture(scope="module")
def values(tokenizer_folder: Path) -> dict[str, Any]:
    return recipe_values(tokenizer_folder, steps=STEPS, checkpoint={"every_steps": 2})


@pytest.fixture(scope="module")
def straight(root: Path, values: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("straight")
    assert run_here(values, out, root).status == "done"
    return out


def last_step(out: Path) -> int:
    found = sorted((out / "01-mlm" / "checkpoints").glob("step-*"))
    return int(found[-1].name.removeprefix("step-")) if found else 0


def wait_for_save(out: Path, process: Any, after: int = 0) -> None:
    """Wait until a checkpoint is being written, and there is one of step `after` or later."""
    folder = out / "01-mlm" / "checkpoints"
    while process.is_alive() and (last_step(out) < after or not list(folder.glob(".writing-*"))):
        time.sleep(0.0005)


@pytest.mark.slow
def test_killed_twenty_times(
    root: Path, values: dict[str, Any], straight: Path, tmp_path: Path
) -> None:
    generator = np.random.default_rng(20)
    codes, steps_then = [], []
    for number in range(NUM_KILLS):
        process = start(values, tmp_path, root)
        if number % 2:
            # Let it get somewhere, then strike while it saves.
            wait_for_save(tmp_path, process, last_step(tmp_path) + int(generator.integers(1, 8)))
            time.sleep(float(generator.uniform(0, 0.004)))
        else:
            time.sleep(float(generator.uniform(0, LONGEST_LIFE_S)))
        process.kill()
        process.join()
        codes.append(process.exitcode)
        steps_then.append(last_step(tmp_path))
    assert codes == [-signal.SIGKILL] * NUM_KILLS
    # Nothing that was saved is ever lost.
    assert steps_then == sorted(steps_then)
    assert 0 < steps_then[-1] < STEPS
    assert run_here(values, tmp_path, root).status == "done"
    assert weights_of(tmp_path) == weights_of(straight)
    assert last_checkpoint(tmp_path) == last_checkpoint(straight)
    assert losses_of(tmp_path) == losses_of(straight)


@pytest.mark.slow
def test_sigterm_during_a_save(
    root: Path, values: dict[str, Any], straight: Path, tmp_path: Path
) -> None:
    process = start(values, tmp_path, root)
    wait_for_save(tmp_path, process)
    process.terminate()
    process.join(60)
    assert process.exitcode == 75
    folder = tmp_path / "01-mlm" / "checkpoints"
    assert not list(folder.glob(".writing-*"))
    assert list(folder.glob("step-*"))
    assert run_here(values, tmp_path, root).status == "done"
    assert weights_of(tmp_path) == weights_of(straight)
