"""Permutations are bijections of any size, differ by key, and are computed place by place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgte.data.permutation import permute


@given(size=st.integers(1, 3000), key=st.integers(0, 2**63 - 1))
def test_every_place_is_hit_once(size, key):
    assert np.array_equal(np.sort(permute(np.arange(size), size, key)), np.arange(size))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 1_000_000])
def test_small_and_large_sizes(size):
    found = permute(np.arange(size), size, 7)
    assert np.array_equal(np.sort(found), np.arange(size))


def test_a_huge_size_needs_no_memory():
    size = 2**51
    places = np.arange(1000) * 2_000_000_000
    found = permute(places, size, 3)
    assert len(np.unique(found)) == 1000
    assert found.min() >= 0
    assert found.max() < size


def test_single_places_agree_with_the_whole_and_with_mixed_sizes():
    sizes, keys = np.array([5, 900, 17]), np.array([1, 2, 3], dtype=np.uint64)
    mixed = permute(np.array([4, 500, 16]), sizes, keys)
    asked = ((4, 5, 1), (500, 900, 2), (16, 17, 3))
    assert mixed.tolist() == [permute(np.arange(n), n, k)[place] for place, n, k in asked]


def test_all_orders_of_three_occur_about_equally():
    orders = [tuple(permute(np.arange(3), 3, key).tolist()) for key in range(6000)]
    counts = [orders.count(order) for order in sorted(set(orders))]
    # Six orders, 1000 each, standard deviation 29.
    assert len(counts) == 6
    assert max(abs(count - 1000) for count in counts) < 150


def test_neighbours_part_and_keys_disagree():
    size = 10_000
    first, second = permute(np.arange(size), size, 1), permute(np.arange(size), size, 2)
    assert abs(np.corrcoef(first, np.arange(size))[0, 1]) < 0.05
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.05
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.05
