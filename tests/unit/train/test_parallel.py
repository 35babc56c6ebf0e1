"""Replicated and Sharded: two processes compute what one computes, and read each other's states."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load
from tests.laws.training_runs import (
    losses_of,
    recipe_values,
    run_here,
    run_together,
    weights_of,
    write_texts,
)

# Sums over processes are in another order; AdamW turns a gradient of nearly 0 into a step of the
# learning rate, so its epsilon is large here.
TOLERANCE = 2e-5
STEPS = 6


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    write_texts(folder)
    return folder


def values_of(tokenizer: Path, kind: str = "adamw", **stage: Any) -> dict[str, Any]:
    values = recipe_values(tokenizer, steps=STEPS, schedule={"kind": "linear", "warmup": 1})
    values["encoder"]["hidden_dropout_prob"] = 0.0
    optimizer = {"kind": kind, "lr": 0.01, "eps": 1e-3, "clip_norm": 0.5, "weight_decay": 0.01}
    values["stages"][0] |= {"optimizer": optimizer, **stage}
    return values


@pytest.fixture(scope="module")
def alone(
    root: Path, tokenizer_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Runs of one process, by optimizer."""
    outs = {}
    for kind in ("adamw", "stable_adamw", "muon"):
        outs[kind] = tmp_path_factory.mktemp(kind)
        run_here(values_of(tokenizer_folder, kind), outs[kind], root)
    return outs


def assert_close(out: Path, other: Path, tolerance: float = TOLERANCE) -> None:
    ours, theirs = load(weights_of(out)), load(weights_of(other))
    for name, tensor in theirs.items():
        difference = (ours[name].float() - tensor.float()).abs().max().item()
        assert difference < tolerance, (name, difference)
    for step, (loss, norm) in losses_of(other).items():
        assert losses_of(out)[step] == pytest.approx((loss, norm), rel=1e-3), step


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_processes_train_as_one(
    parallel: str, root: Path, tokenizer_folder: Path, alone: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run_together(2, values_of(tokenizer_folder, parallel=parallel), out, root)
    assert_close(out, alone["adamw"])
    if parallel == "ddp":
        # Gradients, sums, counts and the wish to stop: one all-reduce per step.
        counts = [int((out / f"all-reduces-{rank}-of-2").read_text()) for rank in range(2)]
        assert counts == [STEPS, STEPS]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["stable_adamw", "muon"])
def test_other_optimizers_work_on_shards(
    kind: str, root: Path, tokenizer_folder: Path, alone: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run_together(2, values_of(tokenizer_folder, kind, parallel="fsdp"), out, root)
    # Muon orthogonalises in bfloat16.
    assert_close(out, alone[kind], 5e-3 if kind == "muon" else TOLERANCE)


@pytest.mark.slow
def test_a_sharded_state_is_loaded_by_one_process_and_the_other_way_round(
    root: Path, tokenizer_folder: Path, alone: dict[str, Path], tmp_path: Path
) -> None:
    values = values_of(tokenizer_folder, parallel="fsdp", activation_checkpointing=True)

    def undo(out: Path) -> None:
        """As if the run had been killed after step 3."""
        (out / "01-mlm" / "DONE").unlink()
        (out / "01-mlm" / "checkpoints" / f"step-{STEPS:07d}" / "state.json").unlink()

    out = tmp_path / "out"
    run_together(2, values, out, root)
    assert_close(out, alone["adamw"])
    undo(out)
    run_here(values, out, root)
    assert_close(out, alone["adamw"])
    undo(out)
    run_together(2, values, out, root)
    assert_close(out, alone["adamw"])


def test_one_process_is_never_sharded() -> None:
    from torch import nn

    from mgte.train.parallel import Replicated, spread_model
    from mgte.train.world import World

    model = nn.Linear(2, 2)
    assert isinstance(spread_model(model, World(), "fsdp"), Replicated)
    assert torch.is_tensor(model.weight.grad)
