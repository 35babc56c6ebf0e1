"""OptimizerConfig, parameter groups, and the optimizers themselves."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mgte.errors import BackendUnavailableError, CheckpointError


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizerConfig:
    """How gradients become steps.

    Attributes:
        kind: "adamw", "stable_adamw" (updates clipped by their root mean square), or "muon" (hidden
            matrices by orthogonalised momentum, everything else by AdamW).
        lr: Peak learning rate.
        betas: Decay rates of the moments. mGTE: (0.9, 0.98) for masked language modelling,
            (0.9, 0.999) for contrastive stages.
        eps: Added to the root of the second moment. mGTE: 1e-6 and 1e-7.
        weight_decay: Shrinks weights by this share per step at the peak learning rate, by
            proportionally less at lower ones. Not scaled by `lr` itself ("decoupled"). Norms and
            biases are not shrunk.
        clip_norm: Largest norm of the gradient; None means no clipping (mGTE's MLM stages).
        head_lr: Learning rate of heads that start from random weights; None means `lr`.
    """

    kind: Literal["adamw", "stable_adamw", "muon"] = "adamw"
    lr: float
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-6
    weight_decay: float = 1e-5
    clip_norm: float | None = None
    head_lr: float | None = None


class Optimizer:
    """One or two PyTorch optimizers that step together; `build_optimizer` makes one.

    State is told by parameter names, so that it does not depend on an order of parameters.

    Args:
        parts: Optimizers by name; every group holds its peak learning rate as `peak_lr`.
        names: Name of each parameter.
    """

    def __init__(
        self, parts: Mapping[str, torch.optim.Optimizer], names: Mapping[Tensor, str]
    ) -> None:
        self._parts = dict(parts)
        self._names = dict(names)

    def set_factor(self, factor: float) -> None:
        """Set all learning rates to their peak times a factor."""
        for part in self._parts.values():
            for group in part.param_groups:
                group["lr"] = group["peak_lr"] * factor

    def step(self) -> None:
        """Change the parameters by their gradients."""
        for part in self._parts.values():
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """State by part and parameter name; tensors are those in use, not copies."""
        return {key: self._state_of(part) for key, part in self._parts.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state.

        Args:
            state: What `state_dict` returned, for the same parameters.

        Raises:
            CheckpointError: It is the state of other parameters or another optimizer.
        """
        if set(state) != set(self._parts):
            raise CheckpointError(
                f"optimizer state: got {', '.join(state)}, expected {', '.join(self._parts)}"
            )
        for key, part in self._parts.items():
            self._restore(part, state[key])

    def _state_of(self, part: torch.optim.Optimizer) -> dict[str, Any]:
        return {
            "state": {self._names[parameter]: part.state[parameter] for parameter in part.state},
            "groups": [
                {key: value for key, value in group.items() if key != "params"}
                | {"names": [self._names[parameter] for parameter in group["params"]]}
                for group in part.param_groups
            ],
        }

    def _restore(self, part: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
        groups: list[dict[str, Any]] = []
        numbers: dict[str, int] = {}
        for group, stored in zip(part.param_groups, state["groups"], strict=True):
            names = [self._names[parameter] for parameter in group["params"]]
            if names != stored["names"]:
                raise CheckpointError("optimizer state: belongs to other parameters")
            first = len(numbers)
            numbers.update({name: first + index for index, name in enumerate(names)})
            kept = {key: value for key, value in stored.items() if key != "names"}
            groups.append(kept | {"params": [numbers[name] for name in names]})
        by_number = {numbers[name]: values for name, values in state["state"].items()}
        part.load_state_dict({"state": by_number, "param_groups": groups})


def build_optimizer(
    model: nn.Module, config: OptimizerConfig, *, fresh: Collection[str] = ()
) -> Optimizer:
    """The optimizer of a stage.

    Args:
        model: The model, already spread over the processes; frozen parameters are left alone.
        config: Kind and numbers.
        fresh: Names of parameters that start from random weights, for `head_lr`.

    Returns:
        The optimizer, with learning rates at their peaks.

    Raises:
        BackendUnavailableError: `optimi` is not installed (kind "stable_adamw").
    """
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    names: dict[Tensor, str] = {parameter: name for name, parameter in trained}
    if config.kind != "muon":
        build = _stable_adamw if config.kind == "stable_adamw" else _adamw
        return Optimizer({config.kind: build(_groups(trained, config, fresh), config)}, names)
    matrices = [pair for pair in trained if _is_hidden_matrix(*pair)]
    others = [pair for pair in trained if not _is_hidden_matrix(*pair)]
    parts: dict[str, torch.optim.Optimizer] = {}
    if matrices:
        parts["muon"] = _muon(_groups(matrices, config, fresh))
    if others:
        parts["adamw"] = _adamw(_groups(others, config, fresh), config)
    return Optimizer(parts, names)


def _is_hidden_matrix(name: str, parameter: nn.Parameter) -> bool:
    return parameter.ndim == 2 and name.startswith("encoder.layers.")


def _groups(
    named: Iterable[tuple[str, nn.Parameter]], config: OptimizerConfig, fresh: Collection[str]
) -> list[dict[str, Any]]:
    """Parameters by (is it shrunk, is it a fresh head), each with its peak learning rate.

    PyTorch's optimizers shrink by `lr * weight_decay`. What is meant is `weight_decay` at the peak
    and less in proportion below it, which is `lr * (weight_decay / peak)`.
    """
    groups: dict[tuple[bool, bool], dict[str, Any]] = {}
    for name, parameter in named:
        is_shrunk = parameter.ndim > 1 and "norm" not in name
        is_fresh = config.head_lr is not None and name in fresh and name.startswith("head.")
        peak = config.head_lr if is_fresh and config.head_lr is not None else config.lr
        decay = config.weight_decay / peak if is_shrunk else 0.0
        group = {"params": [], "lr": peak, "peak_lr": peak, "weight_decay": decay}
        groups.setdefault((is_shrunk, is_fresh), group)["params"].append(parameter)
    return list(groups.values())


def _adamw(groups: list[dict[str, Any]], config: OptimizerConfig) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, eps=config.eps, fused=True)


def _muon(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    # Scaled so that an update is as large as one of AdamW: one learning rate serves both.
    # Source: Liu et al., "Muon is scalable for LLM training", arXiv 2502.16982, section 2.2.
    return torch.optim.Muon(groups, adjust_lr_fn="match_rms_adamw")


def _stable_adamw(groups: list[dict[str, Any]], config: OptimizerConfig) -> torch.optim.Optimizer:
    try:
        from optimi import StableAdamW
    except ImportError:
        raise BackendUnavailableError(
            "optimizer.kind: 'stable_adamw' needs the package `torch-optimi`, which is missing",
            hint="pip install 'mgte[train]'",
        ) from None
    # `decouple_lr` of optimi divides by the peak by itself; weight_decay / peak without it is the
    # same number, and one rule for all optimizers. No Triton: a run must go on elsewhere.
    optimizer: torch.optim.Optimizer = StableAdamW(
        groups, lr=config.lr, betas=config.betas, eps=config.eps, triton=False, foreach=False
    )
    return optimizer
