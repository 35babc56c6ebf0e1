"""CostsAhead: tokens of the rows that cells will give next, looked up many at a time."""

import numpy as np

from mgte.data.batches import IntArray
from mgte.data.cell_order import CellOrder

_WIDTH = 256
_UNKNOWN = -(2**60)


class CostsAhead:
    """Remembers a stretch of every cell's order, as working out single places is slow.

    Args:
        order: Order of the cells' rows.
        costs: Tokens of each row of the plan.
    """

    def __init__(self, order: CellOrder, costs: IntArray) -> None:
        self._order = order
        self._costs = costs
        self._table = np.zeros((len(order.sizes), _WIDTH), dtype=np.int64)
        self._firsts = np.full(len(order.sizes), _UNKNOWN)

    def at(self, cells: IntArray, places: IntArray) -> IntArray:
        """Tokens of the rows at places of the cells' orders.

        Args:
            cells: Cell of each place, int64 [n].
            places: Places, counted from the start of the first epoch, int64 [n].

        Returns:
            int64 [n].
        """
        while True:  # once more when stretches had to become longer, which forgets all of them
            offsets = places - self._firsts[cells]
            is_unknown = (offsets < 0) | (offsets >= self._table.shape[1])
            if not is_unknown.any():
                return np.asarray(self._table[cells, offsets])
            for cell in np.unique(cells[is_unknown]).tolist():
                wanted = places[cells == cell]
                self._read(cell, int(wanted.min()), int(wanted.max()) + 1)

    def _read(self, cell: int, first: int, stop: int) -> None:
        """Remember a cell's order from a place on."""
        missing = stop - first - self._table.shape[1]
        if missing > 0:
            wider = max(missing, self._table.shape[1])
            self._table = np.pad(self._table, ((0, 0), (0, wider)))
            self._firsts[:] = _UNKNOWN  # the new columns hold nothing yet
        width = self._table.shape[1]
        items = self._order.items(np.full(width, cell), first + np.arange(width))
        self._table[cell] = self._costs[items]
        self._firsts[cell] = first
