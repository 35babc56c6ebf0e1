"""OptimizerConfig, parameter groups, and the optimizers themselves."""

from dataclasses import dataclass
from typing import Literal


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
