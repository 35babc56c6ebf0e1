"""The endless order of a cell's rows: epoch after epoch, each a new permutation, none stored.

A batch may reach over the end of an epoch. Where it must not hold a row twice, the rows are dealt
into parts by a fixed shuffle; every epoch starts with the rows of one part and ends with those of
another, chosen so that the end of an epoch and the start of the next never share a part. So rows
that stand closer together than the smallest part are all different, and still any place of the
order is computed on its own.
"""

import numpy as np

from mgte.data.batches import IntArray
from mgte.data.permutation import permute
from mgte.data.seeds import WordArray, words

# Of four parts, two are free to mix in the middle of an epoch, and ends change from epoch to epoch.
_MANY_PARTS = 4
# With two parts every epoch has the same ends.
_FEW_PARTS = 2

# What the streams of random words under one key are for.
_SHUFFLE, _LAST_PART, _FIRST_PART, _EPOCH, _HEAD, _MIDDLE, _TAIL = range(7)


def num_parts(size: int, window: int) -> int:
    """Parts into which the rows of a cell are dealt.

    Args:
        size: Rows of the cell.
        window: Most rows of one batch.

    Returns:
        4 where each part then holds a batch, else 2.
    """
    return _MANY_PARTS if window * _MANY_PARTS <= size else _FEW_PARTS


def free_order(positions: IntArray, sizes: IntArray, keys: WordArray) -> IntArray:
    """Rows at places of endless orders, where a row may stand twice in a batch.

    Args:
        positions: Places, counted from the start of the first epoch, int64 [n].
        sizes: Rows of each place's cell, int64 [n].
        keys: Seed of each place's cell, uint64 [n].

    Returns:
        Numbers of the rows in their cells, int64 [n]; each once per epoch.
    """
    return permute(positions % sizes, sizes, words(keys, positions // sizes))


def spaced_order(positions: IntArray, size: int, key: int, parts: int) -> IntArray:
    """Rows at places of one endless order in which equal rows stand far apart.

    Args:
        positions: Places, counted from the start of the first epoch, int64 [n].
        size: Rows of the cell.
        key: Seed of the cell.
        parts: 2 or 4, as `num_parts` gives.

    Returns:
        Numbers of the rows in their cell, int64 [n]; each once per epoch, and any
        size // parts neighbours in the order are all different.
    """
    dealt = np.empty(len(positions), dtype=np.int64)
    epochs = positions // size
    for epoch in np.unique(epochs).tolist():
        places = np.flatnonzero(epochs == epoch)
        dealt[places] = _within_epoch(positions[places] - epoch * size, epoch, size, key, parts)
    return permute(dealt, size, words(key, _SHUFFLE))


def _within_epoch(places: IntArray, epoch: int, size: int, key: int, parts: int) -> IntArray:
    """Numbers of rows in the fixed shuffle, for places of one epoch."""
    bounds = [size * part // parts for part in range(parts + 1)]
    first, last = _ends(key, epoch, parts)
    head = bounds[first + 1] - bounds[first]
    tail = bounds[last + 1] - bounds[last]
    key_of_epoch = words(words(key, _EPOCH), epoch)
    found = np.empty_like(places)
    is_head, is_tail = places < head, places >= size - tail
    is_middle = ~(is_head | is_tail)
    if is_head.any():
        local = permute(places[is_head], head, words(key_of_epoch, _HEAD))
        found[is_head] = bounds[first] + local
    if is_tail.any():
        local = permute(places[is_tail] - (size - tail), tail, words(key_of_epoch, _TAIL))
        found[is_tail] = bounds[last] + local
    if is_middle.any():
        local = permute(places[is_middle] - head, size - head - tail, words(key_of_epoch, _MIDDLE))
        for part in sorted((first, last)):  # step over the parts at the ends
            local += np.where(local >= bounds[part], bounds[part + 1] - bounds[part], 0)
        found[is_middle] = local
    return found


def _ends(key: int, epoch: int, parts: int) -> tuple[int, int]:
    """First and last part of an epoch."""
    if parts == _FEW_PARTS:
        return 0, 1
    # The last parts of the epoch before and of this one: the first part may be neither.
    lasts = words(words(key, _LAST_PART), np.array([epoch, epoch + 1])) % np.uint64(parts)
    before, last = lasts.tolist()
    free = [part for part in range(parts) if part not in (before, last)]
    draw = words(words(key, _FIRST_PART), np.array([epoch]))[0]
    return free[int(draw % np.uint64(len(free)))], last
