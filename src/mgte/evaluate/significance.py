"""How sure a mean is, and whether two systems differ: bootstrap, t-test, permutation. No torch."""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgte.errors import BackendUnavailableError, ConfigError, DataError

_NUMBERS_PER_BLOCK = 2**21
_PERMUTATIONS = 10_000
# Up to this many differences all patterns of signs are tried; more would be above _PERMUTATIONS.
_MOST_EXACT = 13


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedTest:
    """Two systems on the same items; a difference is the first's value minus the second's.

    Attributes:
        num_items: Items that both have.
        difference: Mean difference.
        interval: 95 % percentile interval of the mean difference, from resampled items.
        p_t: Two-sided p value of the paired t-test; 1 where there is only one item.
        p_permutation: Two-sided p value of the sign-flip permutation test, exact up to 13 items
            with a difference.
        num_better: Items on which the first is better.
        num_worse: Items on which it is worse.
        num_unshared: Items that only one of them has; they are left out.
    """

    num_items: int
    difference: float
    interval: tuple[float, float]
    p_t: float
    p_permutation: float
    num_better: int
    num_worse: int
    num_unshared: int = 0


def bootstrap_interval(
    values: Sequence[float] | NDArray[np.floating[Any]],
    *,
    seed: int = 0,
    level: float = 0.95,
    samples: int = 1000,
) -> tuple[float, float]:
    """Interval of the mean of some values, by drawing them again with replacement.

    Args:
        values: One value per item, `[num_items]`.
        seed: Decides what is drawn.
        level: Share of the resampled means that lie inside.
        samples: How often all items are drawn.

    Returns:
        Lower and upper end: percentiles of the resampled means. Source: Efron and Tibshirani, An
        Introduction to the Bootstrap, chapter 13.

    Raises:
        DataError: There is no value, or one is NaN or infinite.
        ConfigError: `level` is not between 0 and 1, or `samples` is below 1.
    """
    if not 0.0 < level < 1.0:
        raise ConfigError(f"level: got {level}, expected between 0 and 1")
    if samples < 1:
        raise ConfigError(f"samples: got {samples}, expected at least 1")
    numbers = _numbers(values)
    if numbers.min() == numbers.max():
        return float(numbers[0]), float(numbers[0])
    random = np.random.default_rng(seed)
    means = np.concatenate(
        [
            numbers[random.integers(0, len(numbers), size=(count, len(numbers)))].mean(axis=1)
            for count in _blocks(samples, len(numbers))
        ]
    )
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return float(low), float(high)


def paired_test(a: Mapping[str, float], b: Mapping[str, float], *, seed: int = 0) -> PairedTest:
    """Whether two systems differ on the items that both have.

    Args:
        a: Item to the first system's value.
        b: Item to the second system's value.
        seed: Decides what is drawn.

    Returns:
        The mean difference, how sure it is, and two tests of "there is none".

    Raises:
        DataError: No item is in both, or a value is NaN or infinite.
        BackendUnavailableError: SciPy is not installed.
    """
    shared = [item for item in a if item in b]
    if not shared:
        raise DataError(
            f"paired test: {len(a)} and {len(b)} items, none of them the same, expected some"
        )
    differences = _numbers([a[item] - b[item] for item in shared])
    return PairedTest(
        num_items=len(shared),
        difference=float(differences.mean()),
        interval=bootstrap_interval(differences, seed=seed),
        p_t=_t_test(differences),
        p_permutation=_sign_flip_test(differences, np.random.default_rng(seed)),
        num_better=int((differences > 0).sum()),
        num_worse=int((differences < 0).sum()),
        num_unshared=len(a) + len(b) - 2 * len(shared),
    )


def _t_test(differences: NDArray[np.float64]) -> float:
    count = len(differences)
    if count < 2 or not differences.any():
        return 1.0
    error = float(differences.std(ddof=1)) / np.sqrt(count)
    if error == 0.0:
        return 0.0
    t = float(differences.mean()) / error
    return float(2.0 * _scipy_special().stdtr(count - 1, -abs(t)))


def _sign_flip_test(differences: NDArray[np.float64], random: np.random.Generator) -> float:
    """Share of sign patterns whose sum is as far from 0 as the one that was observed.

    Without a difference between the systems, each item's sign is a coin's.
    """
    moving = differences[differences != 0.0]
    if not len(moving):
        return 1.0
    # Sums of the same numbers in another order differ in their last digits.
    observed = abs(float(moving.sum())) - 1e-12 * float(np.abs(moving).sum())
    if len(moving) <= _MOST_EXACT:
        patterns = np.arange(2 ** len(moving))[:, None] >> np.arange(len(moving)) & 1
        return float((np.abs((1.0 - 2.0 * patterns) @ moving) >= observed).mean())
    extreme = 0
    for count in _blocks(_PERMUTATIONS, len(moving)):
        signs = 1.0 - 2.0 * random.integers(0, 2, size=(count, len(moving)), dtype=np.int8)
        extreme += int((np.abs(signs @ moving) >= observed).sum())
    # The observed pattern is one of those that could have been.
    return (extreme + 1) / (_PERMUTATIONS + 1)


def _blocks(count: int, width: int) -> Iterator[int]:
    """Lines of `width` numbers, in as many blocks as memory asks for."""
    lines = max(1, _NUMBERS_PER_BLOCK // width)
    for start in range(0, count, lines):
        yield min(lines, count - start)


def _numbers(values: Sequence[float] | NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or not len(numbers):
        raise DataError(f"values: got shape {numbers.shape}, expected a list of at least one")
    if not np.isfinite(numbers).all():
        place = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise DataError(f"values: number {place} is {numbers[place]}, expected finite numbers")
    return numbers


def _scipy_special() -> Any:
    try:
        return importlib.import_module("scipy.special")
    except ImportError as error:
        raise BackendUnavailableError(
            "paired tests need the package scipy", hint="pip install 'mgte[eval]'"
        ) from error
