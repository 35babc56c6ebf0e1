"""Objective: the one seam of training. What a stage optimises, forward and backward.

An objective owns the backward pass because a large contrastive batch needs two passes (gradient
caching). It adds the gradient of the *sum* of the loss over this process's share; the engine sums
over processes and divides once by the global count.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from mgte.data import Batch
from mgte.losses import LossSum
from mgte.train.world import World


class Parallel(Protocol):
    """How the model is spread over processes; what an objective may ask of it."""

    def backward_scope(self, *, is_last: bool) -> AbstractContextManager[None]:
        """Surrounds one forward or backward; gradients travel only in the last backward."""
        ...

    def equal_count(self, count: int) -> int:
        """Number of model passes that every process must make (equal only where needed)."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class StepContext:
    """What an objective must know besides model and batch.

    Attributes:
        step: Optimizer step, counted from 0.
        world: The processes.
        parallel: How the model is spread over them.
        is_last: Whether this is the last batch of the step.
        tokens_per_chunk: Most tokens in one pass of the model.
        autocast: Type of matrix products; None means as the weights are.
    """

    step: int
    world: World
    parallel: Parallel
    is_last: bool
    tokens_per_chunk: int
    autocast: torch.dtype | None


class Objective(Protocol):
    """What a stage optimises."""

    def accumulate(
        self, model: nn.Module, batch: Batch, context: StepContext
    ) -> Mapping[str, LossSum]:
        """Add the gradient of the loss's sum over this share to the parameters' gradients.

        Args:
            model: The model (of the kind that the objective needs).
            batch: This process's share of one batch.
            context: Step, processes, memory.

        Returns:
            Detached sums and counts of this share by name; "loss" is what is optimised.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """Facts for the log and the model card."""
        ...
