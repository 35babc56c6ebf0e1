"""With what probability each source or language is drawn."""

import difflib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mgte.data.batches import IntArray
from mgte.data.config import Points, SamplingConfig, Scheduled
from mgte.data.scheduled import check_at_least, largest, values_at
from mgte.errors import ConfigError


def probabilities(
    config: SamplingConfig, names: Sequence[str], counts: IntArray, steps: IntArray
) -> NDArray[np.float64]:
    """q_i = p_i^alpha weight_i / sum_j p_j^alpha weight_j, over shares p_i of the rows.

    Args:
        config: Exponent and weights; checked with `check_sampling`.
        names: Names of the groups.
        counts: Rows of each group; a group without rows is never drawn.
        steps: Steps, counted from 0.

    Returns:
        float64 [steps, groups]; every row sums to 1.

    Source: mGTE, arXiv 2407.19669, equation 1; the weights are ours.
    """
    shares = counts / counts.sum()
    alpha = values_at(config.alpha, steps)[:, None]
    rates = np.where(shares > 0, np.where(shares > 0, shares, 1.0) ** alpha, 0.0)
    for index, name in enumerate(names):
        if name in config.weights:
            rates[:, index] *= values_at(config.weights[name], steps)
    return np.asarray(rates / rates.sum(axis=1, keepdims=True))


def check_sampling(config: SamplingConfig, names: Sequence[str], counts: IntArray) -> None:
    """Refuse settings under which nothing could be drawn.

    Args:
        config: The settings.
        names: Names of the groups.
        counts: Rows of each group.

    Raises:
        ConfigError: A weight has an unknown name or is negative, or at some step no group can be
            drawn.
    """
    check_at_least(config.alpha, 0.0, "sampling.alpha")
    if not 0 <= config.short_keep <= 1:
        raise ConfigError(f"sampling.short_keep: got {config.short_keep:g}, expected 0 to 1")
    for name, weight in config.weights.items():
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            known = ", ".join(list(names)[:12]) + (", ..." if len(names) > 12 else "")
            raise ConfigError(
                f"sampling.weights.{name}: unknown {config.by}; known: {known}",
                hint=f"did you mean `{close[0]}`?" if close else None,
            )
        check_at_least(weight, 0.0, f"sampling.weights.{name}")
    # Weights are straight lines between their corners: all are zero somewhere only if at a corner.
    for step in sorted(_corner_steps(config)):
        at = np.array([step])
        if not any(
            count and values_at(config.weights.get(name, 1.0), at)[0] > 0
            for name, count in zip(names, counts.tolist(), strict=True)
        ):
            raise ConfigError(
                f"sampling.weights: all are 0 at step {step}, expected one that is not"
            )


def is_resting(config: SamplingConfig, name: str) -> bool:
    """Whether a group's weight is 0 at every step."""
    return largest(config.weights.get(name, 1.0)) == 0


def _corner_steps(config: SamplingConfig) -> set[int]:
    values: list[Scheduled] = list(config.weights.values())
    return {0} | {step for value in values if isinstance(value, Points) for step, _ in value.points}
