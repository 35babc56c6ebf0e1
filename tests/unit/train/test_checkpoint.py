"""Checkpoints: whole or not at all, damaged ones passed over, old ones removed late."""

import errno
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mgte.errors import CheckpointError, ConfigError, TrainingError
from mgte.train import tensor_files
from mgte.train.checkpoint import (
    Identity,
    Snapshot,
    check_identity,
    checkpoint_steps,
    find_newest,
    read_checkpoint,
)
from mgte.train.checkpoint_writer import CheckpointWriter
from mgte.train.recipe import CheckpointConfig
from mgte.train.state import Best, TrainState

IDENTITY = Identity(settings={"seed": 1, "optimizer": {"lr": 1e-4}}, plan="p", dataset="d")


def snapshot(step: int, best: int | None = None) -> Snapshot:
    generator = torch.Generator().manual_seed(step)
    weights = {
        "b": torch.randn(3, 5, generator=generator),
        "a": torch.randn(7, generator=generator),
        "c": torch.randn(2, 2, generator=generator).bfloat16(),
    }
    optimizer = {
        "adamw": {
            "state": {
                "b": {"step": torch.tensor(float(step)), "exp": weights["b"] * 2, "no": None}
            },
            "groups": [{"lr": 0.1, "betas": (0.9, 0.98), "names": ["b"]}],
        }
    }
    state = TrainState(
        step=step,
        tokens_seen=10 * step,
        loader={"rows of x": step},
        best=None if best is None else Best(step=best, metric="ndcg", value=0.5),
    )
    return Snapshot(state=state, identity=IDENTITY, weights=weights, optimizer=optimizer)


def writer_of(folder: Path, **settings) -> CheckpointWriter:
    return CheckpointWriter(folder, CheckpointConfig(**settings))


def refuse(text: str) -> None:
    pytest.fail(text)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    writer = writer_of(tmp_path)
    given = snapshot(100)
    writer.save(given)
    # Written from copies: training goes on meanwhile.
    kept = {name: tensor.clone() for name, tensor in given.weights.items()}
    for tensor in given.weights.values():
        tensor.zero_()
    writer.close()
    assert [path.name for path in tmp_path.iterdir()] == ["step-0000100"]
    assert find_newest(tmp_path, refuse) == 100
    read = read_checkpoint(tmp_path, 100)
    assert (read.state, read.identity) == (given.state, IDENTITY)
    assert {name: tensor.tolist() for name, tensor in read.weights.items()} == {
        name: tensor.tolist() for name, tensor in kept.items()
    }
    assert {t.dtype for t in read.weights.values()} == {torch.float32, torch.bfloat16}
    stored = read.optimizer["adamw"]
    assert stored["groups"] == [{"lr": 0.1, "betas": (0.9, 0.98), "names": ["b"]}]
    assert stored["state"]["b"]["no"] is None
    assert torch.equal(stored["state"]["b"]["exp"], kept["b"] * 2)


def test_tensor_files_are_safetensors(tmp_path: Path) -> None:
    tensors = {"x": torch.arange(5), "y": torch.ones(2, 0), "z": torch.tensor(True)}
    facts = tensor_files.write_tensors(tmp_path / "t.safetensors", tensors)
    read = load_file(tmp_path / "t.safetensors")
    assert all(torch.equal(read[name], tensor) for name, tensor in tensors.items())
    assert tensor_files.facts_of(tmp_path / "t.safetensors") == facts


def test_the_last_ones_and_the_best_are_kept(tmp_path: Path) -> None:
    writer = writer_of(tmp_path, keep_last=2)
    for step in (10, 20, 30, 40, 50):
        writer.save(snapshot(step, best=20 if step >= 20 else None))
    writer.close()
    assert checkpoint_steps(tmp_path) == [20, 40, 50]


@pytest.mark.parametrize("damage", ["cut", "flip", "no state", "missing", "half state"])
def test_a_damaged_checkpoint_is_reported_and_passed_over(tmp_path: Path, damage: str) -> None:
    writer = writer_of(tmp_path, keep_last=3)
    for step in (10, 20):
        writer.save(snapshot(step))
    writer.close()
    weights, state = (tmp_path / "step-0000020" / n for n in ("model.safetensors", "state.json"))
    content = bytearray(weights.read_bytes())
    if damage == "cut":
        weights.write_bytes(content[:-3])
    elif damage == "flip":
        content[-1] ^= 1
        weights.write_bytes(content)
    elif damage == "no state":
        state.unlink()
    elif damage == "missing":
        weights.unlink()
    else:
        state.write_bytes(state.read_bytes()[:50])
    told: list[str] = []
    assert find_newest(tmp_path, told.append) == 10
    assert len(told) == 1
    assert "step-0000020: damaged" in told[0]
    # The damaged one never counts as one of the last that are kept.
    again = writer_of(tmp_path, keep_last=1)
    again.save(snapshot(15))
    again.close()
    assert checkpoint_steps(tmp_path) == [15]


def test_only_damaged_checkpoints_are_an_error_and_none_is_a_start(tmp_path: Path) -> None:
    assert find_newest(tmp_path / "absent", refuse) is None
    (tmp_path / "step-0000010").mkdir()
    with pytest.raises(CheckpointError, match="all 1 checkpoints are damaged"):
        find_newest(tmp_path, lambda text: None)


def test_a_full_disk_costs_nothing_but_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = writer_of(tmp_path)
    writer.save(snapshot(10))
    writer.check(wait=True)

    def full(path: Path, tensors) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("mgte.train.checkpoint_writer.write_tensors", full)
    writer.save(snapshot(20))
    with pytest.raises(TrainingError, match=r"step 20 .*No space left on device.*needs 0.0 MB"):
        writer.close()
    writer.close()
    assert [path.name for path in tmp_path.iterdir()] == ["step-0000010"]
    assert find_newest(tmp_path, refuse) == 10


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / ".writing-0000030-123"
    left.mkdir()
    (left / "model.safetensors").write_bytes(b"x")
    writer_of(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_another_run_is_refused_with_the_reason() -> None:
    cases = {
        r"seed: got 2, but .* begun with 1": Identity(
            settings={**IDENTITY.settings, "seed": 2}, plan="p", dataset="d"
        ),
        r"stages.mlm.optimizer.lr: got 0.1, but .* begun with 0.0001": Identity(
            settings={"seed": 1, "optimizer": {"lr": 0.1}}, plan="p", dataset="d"
        ),
        "data.dataset: holds other rows": Identity(
            settings=IDENTITY.settings, plan="q", dataset="e"
        ),
        "data: decides other batches": Identity(settings=IDENTITY.settings, plan="q", dataset="d"),
    }
    check_identity(IDENTITY, IDENTITY, "mlm", 3)
    for message, other in cases.items():
        with pytest.raises(ConfigError, match=message):
            check_identity(IDENTITY, other, "mlm", 3)
    # What is not known yet is not compared.
    check_identity(IDENTITY, Identity(settings=IDENTITY.settings, plan="", dataset=""), "mlm", 3)


def test_another_format_version_is_damage(tmp_path: Path) -> None:
    writer = writer_of(tmp_path)
    writer.save(snapshot(10))
    writer.close()
    path = tmp_path / "step-0000010" / "state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 99}))
    with pytest.raises(CheckpointError):
        find_newest(tmp_path, lambda text: None)
