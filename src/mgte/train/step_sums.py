"""Sums of a step: what the batches of a step add up to, in a form that one all-reduce can carry."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mgte.errors import TrainingError
from mgte.losses import LossSum

_MAX_TERMS = 128
# Sums of float32 are exact up to 2^24: a count travels as thousands of 4096 and the rest.
_UNIT = 4096
_CHECK_RANGE = 4093
# Check of the names, wish to stop; then per term total, count in units, rest of the count.
TAIL_SIZE = 2 + 3 * _MAX_TERMS


@dataclass(frozen=True, kw_only=True, slots=True)
class ReducedStep:
    """Sums of a step over all processes.

    Attributes:
        totals: Sum by name.
        counts: Number of items by name.
        wants_stop: Whether any process was asked to stop.
    """

    totals: dict[str, float]
    counts: dict[str, int]
    wants_stop: bool

    @property
    def means(self) -> dict[str, float]:
        """Total by count, by name."""
        return {name: total / max(1, self.counts[name]) for name, total in self.totals.items()}


@dataclass(slots=True)
class StepSums:
    """Sums of a step on this process; grows batch by batch.

    Attributes:
        totals: Sum by name, detached scalars.
        counts: Number of items by name.
    """

    totals: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, terms: Mapping[str, LossSum]) -> None:
        """Add the terms of one batch."""
        for name, term in terms.items():
            total = term.total.detach().float()
            self.totals[name] = self.totals[name] + total if name in self.totals else total
            self.counts[name] = self.counts.get(name, 0) + term.count

    def write_to(self, tail: Tensor, *, wants_stop: bool) -> None:
        """Fill a tensor that is then summed over the processes.

        Args:
            tail: float32 `[TAIL_SIZE]`.
            wants_stop: Whether this process was asked to stop.

        Raises:
            TrainingError: There are too many terms.
        """
        names = sorted(self.totals)
        if len(names) > _MAX_TERMS:
            raise TrainingError(f"loss: got {len(names)} terms, expected at most {_MAX_TERMS}")
        tail.zero_()
        counts = [self.counts[name] for name in names]
        parts = [count // _UNIT for count in counts] + [count % _UNIT for count in counts]
        numbers = [_check_number(names), int(wants_stop), *parts]
        values = torch.tensor(numbers, dtype=torch.float32).to(tail.device)
        tail[:2] = values[:2]
        if names:
            length = len(names)
            tail[2 : 2 + length] = torch.stack([self.totals[n].to(tail.device) for n in names])
            tail[2 + length : 2 + 3 * length] = values[2:]

    def read_from(self, tail: Tensor, num_processes: int) -> ReducedStep:
        """The sums over all processes.

        Args:
            tail: What `write_to` filled, summed.
            num_processes: Over how many processes.

        Returns:
            The sums by name.

        Raises:
            TrainingError: The processes have computed different terms.
        """
        names = sorted(self.totals)
        values = tail.double().cpu().tolist()
        if round(values[0]) != num_processes * _check_number(names):
            raise TrainingError(
                "loss: the processes have computed different terms, expected the same names on all"
            )
        length = len(names)
        totals, units, rests = (values[2 + i * length : 2 + (i + 1) * length] for i in range(3))
        return ReducedStep(
            totals=dict(zip(names, totals, strict=True)),
            counts={
                name: round(unit) * _UNIT + round(rest)
                for name, unit, rest in zip(names, units, rests, strict=True)
            },
            wants_stop=values[1] > 0,
        )


def _check_number(names: list[str]) -> int:
    return zlib.crc32("\n".join(names).encode()) % _CHECK_RANGE
