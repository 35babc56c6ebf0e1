"""KnownAnswers: every positive that a dataset has for a query, whichever rows they stand in."""

from collections import OrderedDict
from functools import cached_property

import numpy as np

from mgte.data.batches import IntArray
from mgte.data.candidates import positive_hashes
from mgte.data.hashing import text_hash
from mgte.data.training_rows import TrainingRows
from mgte.text import TrainingGroup

# Hashes that are remembered, of queries that stand in several rows.
_MOST_REMEMBERED = 2_000_000


class KnownAnswers:
    """Looks up the positives of a query over all rows of a dataset.

    The first look-up reads all queries once, some seconds for a million, and then keeps 16 bytes
    per row.

    Args:
        dataset: Rows of kind "pairs" or "groups".
    """

    def __init__(self, dataset: TrainingRows) -> None:
        self._dataset = dataset
        self._remembered: OrderedDict[int, frozenset[int]] = OrderedDict()
        self._num_remembered = 0

    def hashes_of(self, group: TrainingGroup) -> frozenset[int]:
        """Hashes of the positives of a group and of all rows with the same query.

        Queries are the same as texts are: whatever their case, width of letters and spaces.

        Args:
            group: A group of the dataset.

        Returns:
            Hashes as `text_hash` gives them.
        """
        order, hashes = self._index
        key = text_hash(group.query)
        first, last = np.searchsorted(hashes, key, "left"), np.searchsorted(hashes, key, "right")
        if last - first <= 1:
            return frozenset(positive_hashes(group))
        if key not in self._remembered:
            groups = self._dataset.groups(np.sort(order[first:last]))
            self._remember(key, frozenset[int]().union(*map(positive_hashes, groups)))
        self._remembered.move_to_end(key)
        return self._remembered[key] | positive_hashes(group)

    @cached_property
    def _index(self) -> tuple[IntArray, IntArray]:
        """Rows by the hash of their query, and these hashes, ascending."""
        hashes = self._dataset.query_hashes
        order = np.argsort(hashes, kind="stable")
        return order, hashes[order]

    def _remember(self, key: int, found: frozenset[int]) -> None:
        self._remembered[key] = found
        self._num_remembered += len(found)
        while self._num_remembered > _MOST_REMEMBERED and len(self._remembered) > 1:
            _, oldest = self._remembered.popitem(last=False)
            self._num_remembered -= len(oldest)
