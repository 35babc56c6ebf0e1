"""Randomness without state: numbers that follow from a seed and a place, in any order.

A draw is a hash of what it is for ("the coin of row 17 in batch 3 of step 900"), so it does not
depend on what was drawn before, on the process that draws it, or on the version of NumPy.
"""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

WordArray = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_BLOCK = 1024
_SECOND = np.uint64(0x94D049BB133111EB)


def mix_seed(*parts: int | str) -> int:
    """One seed from several numbers and names.

    Args:
        parts: Numbers and names; their order and kinds matter.

    Returns:
        A seed from 0 to 2^63 - 1, the same on every machine.
    """
    # NumPy's integers would be written in another way, and differently by its versions.
    plain = tuple(part if isinstance(part, str) else int(part) for part in parts)
    digest = hashlib.blake2b(repr(plain).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def words(keys: Any, counters: Any) -> WordArray:
    """64 random bits per counter.

    Args:
        keys: A seed, or uint64 seeds that broadcast with `counters`.
        counters: Which draws, integers of any shape.

    Returns:
        uint64 of the shape of both, the `counter`-th words of the streams that the keys start.

    Source: splitmix64, Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
    2014.
    """
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64 is meant
        state = np.asarray(counters).astype(np.uint64) * _GOLDEN
        state = state + np.asarray(keys, dtype=np.uint64) + _GOLDEN
        state = (state ^ (state >> np.uint64(30))) * _FIRST
        state = (state ^ (state >> np.uint64(27))) * _SECOND
        return np.asarray(state ^ (state >> np.uint64(31)))


def uniforms(keys: Any, counters: Any) -> NDArray[np.float64]:
    """Random numbers from 0 (included) to 1 (excluded); arguments as those of `words`."""
    return np.asarray((words(keys, counters) >> np.uint64(11)) * 2.0**-53)


def integers(keys: Any, counters: Any, bounds: Any) -> NDArray[np.int64]:
    """Random integers from 0 to `bounds` - 1.

    Args:
        keys: As in `words`.
        counters: As in `words`.
        bounds: Upper bounds below 2^53, broadcast with the others.

    Returns:
        int64 of the broadcast shape.
    """
    return np.asarray((uniforms(keys, counters) * np.asarray(bounds)).astype(np.int64))


class DrawSequence:
    """`uniforms` of one key, read one by one; worked out a thousand at a time.

    Args:
        key: The seed.
    """

    def __init__(self, key: int) -> None:
        self._key = key
        self._block = -1
        self._draws: list[float] = []

    def at(self, counter: int) -> float:
        """The draw of a counter, from 0 (included) to 1 (excluded)."""
        block, place = divmod(counter, _BLOCK)
        if block != self._block:
            counters = np.arange(_BLOCK) + block * _BLOCK
            self._draws = uniforms(self._key, counters).tolist()
            self._block = block
        return self._draws[place]
