"""Axes of charts: nice ticks, and values to places."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """An axis.

    Attributes:
        low: Value at the start.
        high: Value at the end.
        start: Place of `low` in the drawing.
        end: Place of `high`.
        is_log: Whether equal distances are equal factors.
        ticks: Values that are marked.
    """

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    is_log: bool = False

    def place(self, value: float) -> float:
        """Where a value stands; values outside stand at the nearest end."""
        low, high = self.low, self.high
        if self.is_log:
            value, low, high = (math.log(max(number, 1e-12)) for number in (value, low, high))
        share = (value - low) / (high - low) if high > low else 0.5
        return round(self.start + min(max(share, 0.0), 1.0) * (self.end - self.start), 2)


def linear_scale(
    values: Sequence[float], start: float, end: float, *, from_zero: bool = True, ticks: int = 5
) -> Scale:
    """An axis of equal steps, between round numbers around the values.

    Args:
        values: What it must hold.
        start: Place of the lowest value.
        end: Place of the highest.
        from_zero: Whether 0 is on it, as bars need.
        ticks: About how many marks.

    Returns:
        The axis.
    """
    held = [*values, *([0.0] if from_zero or not values else [])]
    low, high = min(held), max(held)
    step = _nice_step((high - low or abs(high) or 1.0) / ticks)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    marks = tuple(round(index * step, 10) for index in range(first, last + 1))
    return Scale(low=marks[0], high=marks[-1], start=start, end=end, ticks=marks)


def log_scale(values: Sequence[float], start: float, end: float) -> Scale:
    """An axis of equal factors, with marks at powers of two or ten.

    Args:
        values: What it must hold, all above 0.
        start: Place of the lowest value.
        end: Place of the highest.

    Returns:
        The axis, a little wider than the values.
    """
    low, high = min(values) / 1.25, max(values) * 1.25
    power = 10.0 if high / low > 200 else 2.0
    first, last = math.ceil(math.log(low, power)), math.floor(math.log(high, power))
    marks = tuple(power**index for index in range(first, last + 1))
    return Scale(low=low, high=high, start=start, end=end, ticks=marks, is_log=True)


def short_number(value: float) -> str:
    """A number for a mark: 1.5k, 0.02, 64."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{letter}"
    return f"{value:.3g}"


def _nice_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return float(next(factor for factor in (1, 2, 2.5, 5, 10) if factor * power >= step) * power)
