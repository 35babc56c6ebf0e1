"""Learning-rate curves: corners and shapes."""

import math
from itertools import pairwise

import pytest

from mgte.train.schedule import ScheduleConfig, lr_factor, steps_of


def curve(steps: int, **settings) -> list[float]:
    return [lr_factor(ScheduleConfig(**settings), step, steps) for step in range(steps)]


def test_warmup_starts_above_zero_and_ends_at_one() -> None:
    for kind in ("linear", "cosine", "wsd", "constant"):
        factors = curve(100, kind=kind, warmup=10)
        assert factors[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
        assert factors[10] == 1.0


def test_a_share_counts_all_steps() -> None:
    assert steps_of(0.06, 1000) == 60
    assert steps_of(3000.0, 10_000) == 3000
    assert curve(50, kind="cosine", warmup=0.1) == curve(50, kind="cosine", warmup=5)


def test_linear_and_cosine_fall_to_final() -> None:
    linear = curve(110, kind="linear", warmup=10, final=0.2)
    assert linear[60] == pytest.approx(0.2 + 0.8 * 0.5)
    assert linear[109] == pytest.approx(0.2 + 0.8 * 0.01)
    cosine = curve(110, kind="cosine", warmup=10)
    assert cosine[60] == pytest.approx(0.5)
    assert cosine[85] == pytest.approx(0.5 * (1 + math.cos(math.pi * 0.75)))


def test_wsd_holds_and_then_falls_by_one_minus_sqrt() -> None:
    factors = curve(100, kind="wsd", warmup=0.1, decay=0.25)
    assert factors[10:76] == [1.0] * 66
    assert factors[84] == pytest.approx(1 - math.sqrt(9 / 25))
    assert factors[99] == pytest.approx(1 - math.sqrt(24 / 25))


def test_no_fall_rises_again_and_none_ends_before_the_end() -> None:
    for kind in ("linear", "cosine", "wsd"):
        factors = curve(57, kind=kind, warmup=7)
        assert all(a >= b for a, b in pairwise(factors[7:]))
        assert min(factors) > 0
    assert curve(20, kind="constant", warmup=0) == [1.0] * 20
