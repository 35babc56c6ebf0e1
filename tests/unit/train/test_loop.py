"""The loop's seams: one all-reduce per step, what is logged, options of the engine."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from tests.laws.training_runs import recipe_values, run_here, weights_of, write_texts
from torch import nn

from mgte.losses import LossSum
from mgte.train.parallel import Replicated
from mgte.train.step_sums import TAIL_SIZE, StepSums
from mgte.train.world import World


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_texts(tmp_path)
    return tmp_path


def test_every_step_is_logged_with_its_numbers(root: Path, tokenizer_folder: Path) -> None:
    told: list[dict[str, Any]] = []
    values = recipe_values(tokenizer_folder, log_every=5)
    run_here(values, root / "out", root, sinks=(told.append,))
    steps = [record for record in told if record["kind"] == "step"]
    assert [record["step"] for record in steps] == [1, 5, 10, 12]
    falls = [0.01 / 3, 0.01, 0.01 * (1 - (1 / 4) ** 0.5), 0.01 * (1 - (3 / 4) ** 0.5)]
    assert [record["lr"] for record in steps] == pytest.approx(falls)
    for record in steps:
        assert {"stage", "steps", "loss", "accuracy", "tokens_per_s", "tokens_seen"} <= set(record)
        assert {"grad_norm", "eta_s", "tokens_dropped"} <= set(record)
        assert record["eta_s"] >= 0
    assert steps[-1]["tokens_seen"] > steps[0]["tokens_seen"] > 0


@pytest.mark.parametrize(
    "options",
    [{"activation_checkpointing": True}, {"data": {"tokens_per_chunk": 32}}],
    ids=["recomputed layers", "smaller chunks"],
)
def test_what_saves_memory_does_not_change_the_result(
    options: dict[str, Any], root: Path, tokenizer_folder: Path
) -> None:
    values = recipe_values(tokenizer_folder, steps=4, schedule={"kind": "constant", "warmup": 0})
    # Dropout is drawn per pass: with other chunks it falls differently.
    values["encoder"]["hidden_dropout_prob"] = 0.1 if "data" not in options else 0.0
    run_here(values, root / "plain", root)
    stage = values["stages"][0]
    data = stage["data"] | options.get("data", {})
    changed = {**values, "stages": [{**stage, **options, "data": data}]}
    run_here(changed, root / "changed", root)
    from safetensors.torch import load

    plain, other = (load(weights_of(root / name)) for name in ("plain", "changed"))
    for name, tensor in plain.items():
        # AdamW's first steps have the size of the learning rate whatever rounding the gradient has.
        assert torch.allclose(tensor, other[name], atol=1e-4 if "data" in options else 0), name


def test_bfloat16_trains_float32_weights(root: Path, tokenizer_folder: Path) -> None:
    told: list[dict[str, Any]] = []
    values = recipe_values(tokenizer_folder, precision="bfloat16")
    run_here(values, root / "out", root, sinks=(told.append,))
    losses = [record["loss"] for record in told if record["kind"] == "step"]
    assert losses[-1] < losses[0]


class Line(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = nn.Linear(3, 1), nn.Linear(3, 1)


def test_sums_are_divided_once_and_unused_parameters_stay_zero() -> None:
    model = Line()
    spread = Replicated(model, World())
    rows = torch.arange(12.0).view(4, 3)
    sums = StepSums()
    for part in rows.split([1, 3]):
        total = model.used(part).square().sum()
        total.backward()
        sums.add({"loss": LossSum(total, len(part)), "other": LossSum(total * 2, 1)})
    reduced = spread.reduce(sums, wants_stop=False)
    direct = torch.autograd.grad(model.used(rows).square().mean(), model.used.weight)[0]
    assert torch.allclose(model.used.weight.grad, direct)
    assert not model.unused.weight.grad.any()
    assert reduced.counts == {"loss": 4, "other": 2}
    assert reduced.means["loss"] == pytest.approx(model.used(rows).square().mean().item(), rel=1e-6)
    norm = torch.cat([p.grad.flatten() for p in model.parameters()]).norm().item()
    assert spread.clip(None) == pytest.approx(norm)
    assert spread.clip(norm / 2) == pytest.approx(norm)
    assert spread.clip(None) == pytest.approx(norm / 2)
    spread.zero_gradients()
    assert not model.used.weight.grad.any()


def test_counts_are_exact_beyond_the_integers_of_float32() -> None:
    sums, tail = StepSums(), torch.zeros(TAIL_SIZE)
    sums.add({"loss": LossSum(torch.tensor(1.0), 40_000_003)})
    sums.write_to(tail, wants_stop=True)
    reduced = sums.read_from(3 * tail, 3)
    assert (reduced.counts["loss"], reduced.wants_stop) == (120_000_009, True)


def test_one_all_reduce_carries_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(dist, "all_reduce", lambda tensor: calls.append(tensor.numel()))
    model = Line()
    spread = Replicated(model, World())
    # As on one of two processes, where the other computes the same.
    spread._world = replace(World(), size=2)
    sums = StepSums()
    total = model.used(torch.ones(1, 3)).sum()
    total.backward()
    sums.add({"loss": LossSum(total, 1)})
    monkeypatch.setattr(
        dist, "all_reduce", lambda tensor: (calls.append(tensor.numel()), tensor.mul_(2))
    )
    reduced = spread.reduce(sums, wants_stop=True)
    assert calls == [8 + TAIL_SIZE]
    assert (reduced.counts["loss"], reduced.wants_stop) == (2, True)


COMPILED = """
import torch
from mgte.model import Encoder, EncoderConfig, RopeConfig
from mgte.packing import pack

torch.manual_seed(1)
config = EncoderConfig(
    vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
    num_key_value_heads=2, head_dim=8, intermediate_size=24, max_position_embeddings=32,
    rope=RopeConfig(), hidden_dropout_prob=0.0,
)
encoder, again = Encoder(config), Encoder(config)
again.load_state_dict(encoder.state_dict())
again.compile_layers()
compiled = 0
for lengths in ([4, 3], [5], [6, 2, 7], [9, 9, 9, 4]):
    batch = pack([list(range(2, 2 + length)) for length in lengths])
    for model in (encoder, again):
        model.zero_grad()
        model(batch).square().sum().backward()
    for a, b in zip(encoder.parameters(), again.parameters()):
        assert torch.allclose(a.grad, b.grad, atol=1e-4), (a.grad - b.grad).abs().max()
    if compiled == 0:
        # From here on, other lengths must not be compiled anew.
        compiled = 1
        torch._dynamo.config.error_on_recompile = True
"""


@pytest.mark.slow
def test_compiled_layers_compute_the_same_and_are_compiled_once() -> None:
    # Without the hook that checks shapes in tests, which is not made to be traced.
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
