"""CellOrder: the order in which every cell gives its rows, and how many it may give at once."""

from dataclasses import dataclass

import numpy as np

from mgte.data.batches import IntArray
from mgte.data.endless_order import free_order, num_parts, spaced_order
from mgte.data.plan_rows import PlanRows
from mgte.data.seeds import mix_seed

_UNLIMITED = 2**62


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Taking:
    """Rows that a batch takes: the next `counts` of each of `cells`, of which `starts` are gone.

    Attributes:
        cells: Numbers of the cells, each once.
        starts: Rows that each cell has given before.
        counts: Rows that it gives now.
    """

    cells: IntArray
    starts: IntArray
    counts: IntArray


class CellOrder:
    """The endless orders of all cells.

    Args:
        rows: The plan's rows.
        seed: Seed of the orders.
        repeats: Whether a batch may hold a row twice (where a cell has fewer rows than a batch
            takes of it).
        window: Most rows of one batch; None where a token budget decides.

    Attributes:
        sizes: Rows of each cell, int64 [cells].
        windows: So many neighbours in a cell's order are all different, int64 [cells].
    """

    def __init__(self, rows: PlanRows, *, seed: int, repeats: bool, window: int | None) -> None:
        self._rows = rows
        self._repeats = repeats
        self.sizes = np.array([cell.num_rows for cell in rows.cells], dtype=np.int64)
        seeds = [mix_seed(seed, "order", cell.name) for cell in rows.cells]
        self._keys = np.array(seeds, dtype=np.uint64)
        self._parts = [num_parts(cell.num_rows, window or 1) for cell in rows.cells]
        self.windows = (
            np.full_like(self.sizes, _UNLIMITED) if repeats else self.sizes // self._parts
        )

    def items(self, cells: IntArray, places: IntArray) -> IntArray:
        """Rows of the plan that stand at places of the cells' orders.

        Args:
            cells: Cell of each place, int64 [n].
            places: Places, counted from the start of the first epoch, int64 [n].

        Returns:
            Rows of the plan, int64 [n].
        """
        if self._repeats:
            local = free_order(places, self.sizes[cells], self._keys[cells])
        else:
            local = np.empty_like(places)
            for cell in np.unique(cells).tolist():
                here = cells == cell
                size, key, parts = int(self.sizes[cell]), int(self._keys[cell]), self._parts[cell]
                local[here] = spaced_order(places[here], size, key, parts)
        return np.asarray(self._rows.order[self._rows.cell_starts[cells] + local])

    def items_of(self, taking: Taking) -> IntArray:
        """Rows of the plan that are taken, cell by cell."""
        ends = np.cumsum(taking.counts)
        offsets = np.repeat(taking.starts - (ends - taking.counts), taking.counts)
        places = np.arange(int(ends[-1])) + offsets
        return self.items(np.repeat(taking.cells, taking.counts), places)

    def most(self, cell: int, start: int) -> int:
        """How many rows a cell can give at once without giving one twice.

        Args:
            cell: The cell.
            start: Rows that it has given before.

        Returns:
            The number; without limit where rows may repeat.
        """
        if self._repeats:
            return _UNLIMITED
        size = int(self.sizes[cell])
        return max(size - start % size, int(self.windows[cell]))

    def batch_rows(self, cell: int, start: int, wanted: int) -> int:
        """How many rows a batch of one cell takes.

        As many as are wanted, unless the cell has fewer than two batches of rows and a batch may
        not hold a row twice: then the rest of the epoch is divided evenly.

        Args:
            cell: The cell.
            start: Rows that it has given before.
            wanted: Rows of a full batch.

        Returns:
            The number, from 1 to `wanted`.
        """
        size = int(self.sizes[cell])
        window = int(self.windows[cell])
        left = size - start % size
        if wanted <= window:
            return wanted
        if left < window:
            return window
        return -(-left // -(-left // wanted))
