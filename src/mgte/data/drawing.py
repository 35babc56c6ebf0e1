"""Drawing: how a batch chooses its rows; the seam between single-source and mixed batches."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mgte.data.batches import IntArray
from mgte.data.cell_order import Taking
from mgte.data.config import Points, SamplingConfig
from mgte.data.sampling import probabilities

# Steps whose probabilities are worked out in one go; always the same ones, so that a step's numbers
# do not depend on what was asked before.
_BLOCK = 1024


class Drawing(Protocol):
    """Chooses the rows of every batch."""

    def take(self, step: int, index: int, drawn: IntArray) -> Taking:
        """Rows of one batch.

        Args:
            step: Step, counted from 0.
            index: Which batch of the step.
            drawn: Rows that each cell has given before this batch; stays as it is.

        Returns:
            What it takes of each cell, at least one row in all.
        """
        ...

    def expected_rows(self, step: int) -> NDArray[np.float64]:
        """Rows that a batch of a step takes of each cell on average, float64 [cells]."""
        ...


class GroupRates:
    """Probabilities of the groups, step by step.

    Args:
        config: Exponent and weights.
        names: Names of the groups.
        counts: Rows of each.
    """

    def __init__(self, config: SamplingConfig, names: Sequence[str], counts: IntArray) -> None:
        self._config = config
        self._names = names
        self._counts = counts
        self._block = -1
        self._rates = np.empty((0, len(names)))
        self.is_constant = not any(
            isinstance(value, Points) for value in (config.alpha, *config.weights.values())
        )

    def at(self, step: int) -> NDArray[np.float64]:
        """Probabilities at a step, float64 [groups]."""
        block, place = (0, 0) if self.is_constant else divmod(step, _BLOCK)
        if block != self._block:
            steps = np.arange(1) if self.is_constant else np.arange(_BLOCK) + block * _BLOCK
            self._rates = probabilities(self._config, self._names, self._counts, steps)
            self._block = block
        return np.asarray(self._rates[place])
