"""Optimizers against their update formulas, written out."""

import math

import pytest
import torch
from torch import nn

from mgte.errors import CheckpointError
from mgte.train.optimizer import OptimizerConfig, build_optimizer

LR, DECAY, EPS = 0.01, 0.1, 1e-6
BETAS = (0.9, 0.98)
FACTORS = (0.5, 1.0, 0.25, 0.1)


class Small(nn.Module):
    """Names as a model of ours has them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.encoder = nn.Module()
        self.encoder.embeddings = nn.Embedding(6, 4)
        self.encoder.layers = nn.ModuleList([nn.Linear(4, 8)])
        self.encoder.final_norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 2)


def gradients(model: nn.Module, step: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(step)
    return {n: torch.randn(p.shape, generator=generator) for n, p in model.named_parameters()}


def run(model: nn.Module, config: OptimizerConfig, fresh: tuple[str, ...] = ()) -> None:
    optimizer = build_optimizer(model, config, fresh=fresh)
    for step, factor in enumerate(FACTORS):
        take_step(model, optimizer, step, factor)


def take_step(model: nn.Module, optimizer, step: int, factor: float) -> None:
    for name, gradient in gradients(model, step).items():
        model.get_parameter(name).grad = gradient
    optimizer.set_factor(factor)
    optimizer.step()


def adamw_by_hand(weight: torch.Tensor, name: str, lr: float, decay: float) -> torch.Tensor:
    weight = weight.detach().double().clone()
    first, second = torch.zeros_like(weight), torch.zeros_like(weight)
    for step, factor in enumerate(FACTORS):
        gradient = gradients(Small(), step)[name].double()
        # The decay is that of the peak, scaled down with the schedule: not lr * decay.
        weight *= 1 - decay * factor
        first = BETAS[0] * first + (1 - BETAS[0]) * gradient
        second = BETAS[1] * second + (1 - BETAS[1]) * gradient**2
        upright = first / (1 - BETAS[0] ** (step + 1))
        spread = second / (1 - BETAS[1] ** (step + 1))
        weight -= lr * factor * upright / (spread.sqrt() + EPS)
    return weight


def config(kind: str = "adamw", **more) -> OptimizerConfig:
    return OptimizerConfig(kind=kind, lr=LR, betas=BETAS, eps=EPS, weight_decay=DECAY, **more)


def test_adamw_shrinks_by_the_decay_itself_and_spares_norms_and_biases() -> None:
    before, model = Small(), Small()
    run(model, config())
    for name, parameter in model.named_parameters():
        decay = DECAY if parameter.ndim > 1 else 0.0
        expected = adamw_by_hand(before.get_parameter(name), name, LR, decay)
        assert torch.allclose(parameter.double(), expected, atol=1e-6), name


def test_fresh_heads_have_their_own_learning_rate() -> None:
    before, model = Small(), Small()
    run(model, config(head_lr=0.05), fresh=("head.weight", "encoder.embeddings.weight"))
    for name, lr in (("head.weight", 0.05), ("encoder.embeddings.weight", LR)):
        expected = adamw_by_hand(before.get_parameter(name), name, lr, DECAY)
        assert torch.allclose(model.get_parameter(name).double(), expected, atol=1e-6)


def test_stable_adamw_divides_the_rate_by_the_size_of_the_update() -> None:
    before, model = Small(), Small()
    run(model, config("stable_adamw"))
    name = "head.weight"
    weight = before.get_parameter(name).detach().double().clone()
    first, second = torch.zeros_like(weight), torch.zeros_like(weight)
    for step, factor in enumerate(FACTORS):
        gradient = gradients(before, step)[name].double()
        hats = [1 - (1 - b) / (1 - b ** (step + 1)) for b in BETAS]
        first = hats[0] * first + (1 - hats[0]) * gradient
        second = hats[1] * second + (1 - hats[1]) * gradient**2
        size = (gradient**2 / second.clamp(min=EPS**2)).mean().sqrt().item()
        shrink = 1 / max(1.0, size)
        weight *= 1 - DECAY * factor * shrink
        weight -= LR * factor * shrink * first / (second.sqrt() + EPS)
    assert torch.allclose(model.get_parameter(name).double(), weight, atol=1e-6)


def test_muon_orthogonalises_hidden_matrices_and_leaves_the_rest_to_adamw() -> None:
    before, model = Small(), Small()
    optimizer = build_optimizer(model, config("muon"))
    take_step(model, optimizer, 0, 1.0)
    name = "encoder.layers.0.weight"
    start = before.get_parameter(name).detach()
    change = (start * (1 - DECAY) - model.get_parameter(name).detach()) / LR
    # As large as an update of AdamW (root mean square 0.2), all directions about alike.
    singular = torch.linalg.svdvals(change) / (0.2 * math.sqrt(8))
    assert singular.min() > 0.6
    assert singular.max() < 1.3
    gradient = gradients(before, 0)["head.bias"]
    expected = before.head.bias - LR * gradient / (gradient.abs() + EPS)
    assert torch.allclose(model.head.bias, expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["adamw", "stable_adamw", "muon"])
def test_saved_and_restored_state_goes_on_bit_for_bit(kind: str) -> None:
    straight, broken = Small(), Small()
    run(straight, config(kind))
    optimizer = build_optimizer(broken, config(kind))
    for step in (0, 1):
        take_step(broken, optimizer, step, FACTORS[step])
    again = Small()
    again.load_state_dict(broken.state_dict())
    restored = build_optimizer(again, config(kind))
    restored.load_state_dict(optimizer.state_dict())
    for step in (2, 3):
        take_step(again, restored, step, FACTORS[step])
    for name, parameter in straight.named_parameters():
        assert torch.equal(parameter, again.get_parameter(name)), name


def test_state_of_another_optimizer_is_refused() -> None:
    state = build_optimizer(Small(), config()).state_dict()
    with pytest.raises(CheckpointError, match="got adamw, expected stable_adamw"):
        build_optimizer(Small(), config("stable_adamw")).load_state_dict(state)
