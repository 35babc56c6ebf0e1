"""A seeded permutation of any size that is computed place by place and never stored."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgte.data.batches import IntArray
from mgte.data.seeds import words

_ROUNDS = 8


def permute(positions: Any, sizes: Any, keys: Any) -> IntArray:
    """Where seeded permutations of range(size) send positions.

    A Feistel network over pairs (left, right) with left < ceil(sqrt(size)); values that fall
    outside the range, at most about sqrt(size) of them, walk on until they are inside.

    Args:
        positions: Integers from 0 to `sizes` - 1.
        sizes: How many elements are permuted, at least 1 and below 2^52; broadcast with
            `positions`.
        keys: Seeds of the permutations; broadcast with `positions`.

    Returns:
        int64 of the shape of `positions`; over all positions of one size and key every number
        from 0 to size - 1 occurs once.

    Source: Black and Rogaway, "Ciphers with arbitrary finite domains", 2002, methods 2 and 3.
    """
    shape = np.shape(positions)
    values = np.array(positions, dtype=np.int64).reshape(-1)
    sizes = np.broadcast_to(np.asarray(sizes, dtype=np.int64), shape).reshape(-1)
    keys = np.broadcast_to(np.asarray(keys, dtype=np.uint64), shape).reshape(-1)
    widths = np.ceil(np.sqrt(sizes)).astype(np.int64)
    heights = -(-sizes // np.maximum(widths, 1))
    outside = np.arange(len(values))
    while len(outside):
        values[outside] = _shuffled(
            values[outside], widths[outside], heights[outside], keys[outside]
        )
        outside = outside[values[outside] >= sizes[outside]]
    return values.reshape(shape)


def _shuffled(
    values: IntArray, widths: IntArray, heights: IntArray, keys: NDArray[np.uint64]
) -> IntArray:
    """One pass over the whole grid of `widths` times `heights` cells: a bijection of it."""
    left, right = values // heights, values % heights
    for number in range(0, _ROUNDS, 2):
        left += _scaled(words(words(keys, number), right), widths)
        left -= np.where(left >= widths, widths, 0)
        right += _scaled(words(words(keys, number + 1), left), heights)
        right -= np.where(right >= heights, heights, 0)
    return left * heights + right


def _scaled(draws: NDArray[np.uint64], bounds: IntArray) -> IntArray:
    """Draws from 0 to bounds - 1, for bounds up to 2^31."""
    return ((draws >> np.uint64(32)).astype(np.int64) * bounds) >> 32
