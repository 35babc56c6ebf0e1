"""Intervals and tests agree with SciPy's, and say what they should at the edges."""

import numpy as np
import pytest
from scipy import stats

from mgte.errors import ConfigError, DataError
from mgte.evaluate.significance import bootstrap_interval, paired_test

RANDOM = np.random.default_rng(5)
FIRST = RANDOM.beta(2.0, 2.0, size=60)
SECOND = np.clip(FIRST - RANDOM.normal(0.04, 0.12, size=60), 0.0, 1.0)


def named(values) -> dict[str, float]:
    return {f"q{number}": float(value) for number, value in enumerate(values)}


def test_the_interval_is_that_of_scipy() -> None:
    low, high = bootstrap_interval(FIRST, seed=1, samples=20_000)
    expected = stats.bootstrap(
        (FIRST,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.003)
    assert bootstrap_interval(FIRST, seed=1) == bootstrap_interval(FIRST, seed=1)
    inner = bootstrap_interval(FIRST, level=0.5)
    assert low < inner[0] < FIRST.mean() < inner[1] < high


def test_the_interval_covers_the_mean_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    draws = random.exponential(1.0, size=(400, 50))
    covered = [low <= 1.0 <= high for low, high in (bootstrap_interval(d) for d in draws)]
    assert 0.89 < np.mean(covered) < 0.97


def test_both_tests_are_those_of_scipy() -> None:
    test = paired_test(named(FIRST), named(SECOND))
    assert test.num_items == 60
    assert test.difference == pytest.approx((FIRST - SECOND).mean())
    assert test.p_t == pytest.approx(stats.ttest_rel(FIRST, SECOND).pvalue)
    flips = stats.permutation_test(
        (FIRST - SECOND,),
        np.mean,
        permutation_type="samples",
        n_resamples=20_000,
        rng=np.random.default_rng(1),
    )
    assert test.p_permutation == pytest.approx(flips.pvalue, abs=0.01)
    assert test.interval[0] < test.difference < test.interval[1]
    assert test.num_better + test.num_worse <= 60


def test_few_items_are_permuted_exactly() -> None:
    first, second = FIRST[:9], SECOND[:9]
    exact = stats.permutation_test((first - second,), np.mean, permutation_type="samples")
    assert paired_test(named(first), named(second)).p_permutation == pytest.approx(exact.pvalue)


def test_what_is_equal_does_not_differ() -> None:
    test = paired_test(named(FIRST), named(FIRST))
    assert (test.difference, test.interval) == (0.0, (0.0, 0.0))
    assert (test.p_t, test.p_permutation) == (1.0, 1.0)


def test_the_order_of_the_systems_turns_the_sign_only() -> None:
    one, other = (paired_test(named(x), named(y)) for x, y in ((FIRST, SECOND), (SECOND, FIRST)))
    assert one.difference == pytest.approx(-other.difference)
    assert one.p_t == pytest.approx(other.p_t)
    assert one.p_permutation == pytest.approx(other.p_permutation)
    assert (one.num_better, one.num_worse) == (other.num_worse, other.num_better)


def test_only_shared_items_count() -> None:
    test = paired_test({"a": 1.0, "b": 0.5, "c": 0.0}, {"b": 0.25, "d": 1.0})
    assert (test.num_items, test.num_unshared, test.difference) == (1, 3, 0.25)
    assert test.p_t == 1.0
    with pytest.raises(DataError, match="2 and 1 items, none of them the same"):
        paired_test({"a": 1.0, "b": 1.0}, {"c": 1.0})


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(DataError, match="expected a list of at least one"):
        bootstrap_interval([])
    with pytest.raises(DataError, match="number 1 is nan"):
        bootstrap_interval([0.0, float("nan")])
    with pytest.raises(ConfigError, match="level: got 95"):
        bootstrap_interval([0.0], level=95)
    with pytest.raises(ConfigError, match="samples: got 0"):
        bootstrap_interval([0.0], samples=0)


def test_many_values_are_drawn_in_blocks() -> None:
    values = np.random.default_rng(3).normal(size=300_000)
    low, high = bootstrap_interval(values, samples=20)
    assert low < values.mean() < high
