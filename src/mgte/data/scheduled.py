"""Values that change with the step."""

import numpy as np
from numpy.typing import NDArray

from mgte.data.batches import IntArray
from mgte.data.config import Points, Scheduled
from mgte.errors import ConfigError


def values_at(value: Scheduled, steps: IntArray) -> NDArray[np.float64]:
    """A value at several steps.

    Args:
        value: A number, or points; after the last point its value stays.
        steps: Steps, counted from 0.

    Returns:
        float64, one per step.
    """
    if not isinstance(value, Points):
        return np.full(len(steps), float(value))
    at = np.array([step for step, _ in value.points], dtype=np.int64)
    height = np.array([number for _, number in value.points], dtype=np.float64)
    if value.interpolate == "linear":
        return np.asarray(np.interp(steps, at, height))
    return np.asarray(height[np.searchsorted(at, steps, side="right") - 1])


def value_at(value: Scheduled, step: int) -> float:
    """A value at one step.

    Args:
        value: A number, or points; after the last point its value stays.
        step: Step, counted from 0.

    Returns:
        The value.
    """
    if not isinstance(value, Points):
        return float(value)
    return float(values_at(value, np.array([step]))[0])


def largest(value: Scheduled) -> float:
    """The largest value that is ever taken."""
    return max(_corners(value))


def check_at_least(value: Scheduled, lowest: float, name: str) -> None:
    """Refuse a value that is ever too small.

    Args:
        value: The value.
        lowest: Smallest value that is allowed.
        name: What it is called, for the message.

    Raises:
        ConfigError: It is smaller at some step.
    """
    if not min(_corners(value)) >= lowest:  # also refuses NaN
        raise ConfigError(f"{name}: got {min(_corners(value)):g}, expected at least {lowest:g}")


def _corners(value: Scheduled) -> list[float]:
    return [number for _, number in value.points] if isinstance(value, Points) else [value]
