"""Endless orders: every row once per epoch, new orders, and equal rows far apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgte.data.endless_order import free_order, num_parts, spaced_order

EPOCHS = 6


def whole(size, key, parts):
    return spaced_order(np.arange(size * EPOCHS), size, key, parts).reshape(EPOCHS, size)


@given(size=st.integers(1, 300), key=st.integers(0, 2**63 - 1), parts=st.sampled_from([2, 4]))
def test_every_row_once_per_epoch_and_neighbours_differ(size, key, parts):
    epochs = whole(size, key, parts)
    assert (np.sort(epochs, axis=1) == np.arange(size)).all()
    endless, window = epochs.reshape(-1), size // parts
    for start in range(len(endless) - window):
        assert len(set(endless[start : start + window].tolist())) == window


@pytest.mark.parametrize("parts", [2, 4])
def test_every_epoch_has_its_own_order(parts):
    epochs = whole(64, 5, parts)
    assert len({tuple(epoch) for epoch in epochs.tolist()}) == EPOCHS


def test_rows_meet_all_others_where_there_are_four_parts():
    # Neighbours within 20 places over many epochs: no pair of rows is kept apart for good.
    size, met = 40, np.zeros((40, 40), dtype=bool)
    for epoch in spaced_order(np.arange(size * 400), size, 9, 4).reshape(-1, size):
        for first in range(0, size, 10):
            batch = epoch[first : first + 10]
            met[np.ix_(batch, batch)] = True
    assert met.all()


def test_places_can_be_asked_one_by_one():
    places = np.array([999, 0, 17, 250, 251])
    alone = [int(spaced_order(np.array([p]), 100, 3, 4)[0]) for p in places]
    assert spaced_order(places, 100, 3, 4).tolist() == alone


def test_free_order_gives_every_row_once_per_epoch_in_several_cells_at_once():
    sizes = np.array([7, 12]).repeat([21, 36])
    places = np.concatenate([np.arange(21), np.arange(36)])
    keys = np.array([5, 6], dtype=np.uint64).repeat([21, 36])
    found = free_order(places, sizes, keys)
    assert (np.sort(found[:21].reshape(3, 7), axis=1) == np.arange(7)).all()
    assert (np.sort(found[21:].reshape(3, 12), axis=1) == np.arange(12)).all()
    assert found[:7].tolist() != found[7:14].tolist()


def test_parts_hold_a_batch():
    assert num_parts(400, 100) == 4
    assert num_parts(399, 100) == 2
