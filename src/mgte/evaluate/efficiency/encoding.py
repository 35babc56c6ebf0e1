"""Encode time of several engines on the same texts, in interleaved rounds."""

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

from mgte.evaluate.efficiency.engines import Engine
from mgte.evaluate.efficiency.texts import TextSet

# What an engine compiles or allocates at first is no part of its speed.
_WARM_UP_TEXTS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodeTime:
    """How long one engine took.

    Attributes:
        rounds: Seconds of every round.
        computed_tokens: Tokens that it computed, filling included; 0 where it does not tell.
    """

    rounds: tuple[float, ...]
    computed_tokens: int

    @property
    def seconds(self) -> float:
        """Median of the rounds."""
        return statistics.median(self.rounds)


def time_encoding(
    engines: Mapping[str, Engine], texts: TextSet, num_rounds: int
) -> dict[str, EncodeTime]:
    """Time engines on the same texts.

    Every round runs every engine once, so that a machine that gets slower slows all of them.

    Args:
        engines: Name to engine.
        texts: What is encoded.
        num_rounds: Rounds.

    Returns:
        Name to time.
    """
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    computed = dict.fromkeys(engines, 0)
    for engine in engines.values():
        engine(texts.texts[:_WARM_UP_TEXTS])
    for _ in range(num_rounds):
        for name, engine in engines.items():
            began = time.perf_counter()
            computed[name] = engine(texts.texts)
            seconds[name].append(time.perf_counter() - began)
    return {
        name: EncodeTime(rounds=tuple(seconds[name]), computed_tokens=computed[name])
        for name in engines
    }
