"""LossSum: a loss that has not been divided yet."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class LossSum:
    """Sum of a loss over items, and how many items there were.

    Losses never average: only whoever sees every process and every micro-batch of a step knows by
    how many items to divide, and divides once. So the result does not depend on the number of
    processes, on accumulation, or on ragged batches.

    Attributes:
        total: Sum over items, a scalar with a gradient.
        count: Number of items.
    """

    total: Tensor
    count: int
