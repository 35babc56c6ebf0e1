"""CellDrawing: every batch takes its rows from one cell (one source, one length bucket)."""

import numpy as np
from numpy.typing import NDArray

from mgte.data.batches import IntArray
from mgte.data.cell_order import CellOrder, Taking
from mgte.data.config import DataConfig
from mgte.data.drawing import GroupRates
from mgte.data.plan_rows import PlanRows
from mgte.data.scheduled import value_at
from mgte.data.seeds import DrawSequence, mix_seed

# Rows of a cell that are looked up ahead under a token budget.
_LOOK_AHEAD = 2048
_NOTHING = np.zeros(1, dtype=np.int64)


class CellDrawing:
    """Draws a group, then a cell of it, then the cell's next rows.

    Within a group a cell is drawn in proportion to the batches that its rows make, so that all rows
    of the group are seen equally often.

    Args:
        rows: The plan's rows.
        order: Order of the cells' rows.
        config: Batch sizes and sampling.
        seed: Seed of the draws.
    """

    def __init__(self, rows: PlanRows, order: CellOrder, config: DataConfig, *, seed: int) -> None:
        self._rows = rows
        self._order = order
        self._config = config
        self._draws = DrawSequence(mix_seed(seed, "cell"))
        self._rates = GroupRates(config.sampling, rows.group_names, rows.group_counts)
        self._groups = np.array([cell.group for cell in rows.cells])
        self._bucket_rows = [bucket.rows for bucket in config.buckets]
        batches = np.array([self._num_batches(index) for index in range(len(rows.cells))])
        in_group = np.bincount(self._groups, weights=batches, minlength=len(rows.group_names))
        self._shares = batches / in_group[self._groups]
        self._ahead: dict[int, tuple[int, IntArray]] = {}
        self._cumulative: tuple[int, NDArray[np.float64]] | None = None

    def take(self, step: int, index: int, drawn: IntArray) -> Taking:
        """The next rows of a drawn cell; see `Drawing`."""
        cell = self._draw_cell(step, index)
        start = int(drawn[cell])
        if self._config.tokens_per_batch != 0:
            count = self._count_within(
                cell, start, int(value_at(self._config.tokens_per_batch, step))
            )
        else:
            count = self._order.batch_rows(cell, start, self._wanted(cell, step))
        return Taking(cells=np.array([cell]), starts=np.array([start]), counts=np.array([count]))

    def expected_rows(self, step: int) -> NDArray[np.float64]:
        """Rows that a batch takes of each cell on average; see `Drawing`."""
        sizes = [self._expected_size(cell, step) for cell in range(len(self._shares))]
        return np.asarray(self._probabilities(step) * np.array(sizes))

    def _num_batches(self, cell: int) -> float:
        """Batches that the rows of a cell make, up to a factor that all cells share."""
        if self._config.tokens_per_batch != 0:
            return float(self._rows.cells[cell].num_tokens)
        per_batch = self._bucket_rows[self._rows.cells[cell].bucket] if self._bucket_rows else 1
        return self._rows.cells[cell].num_rows / per_batch

    def _probabilities(self, step: int) -> NDArray[np.float64]:
        return np.asarray(self._rates.at(step)[self._groups] * self._shares)

    def _draw_cell(self, step: int, index: int) -> int:
        at = 0 if self._rates.is_constant else step
        if self._cumulative is None or self._cumulative[0] != at:
            self._cumulative = (at, np.cumsum(self._probabilities(at)))
        cumulative = self._cumulative[1]
        batch = step * self._config.batches_per_step + index
        draw = self._draws.at(batch) * cumulative[-1]
        # A draw just below the sum may be rounded up to it: that is the last cell with a chance.
        last = int(np.searchsorted(cumulative, cumulative[-1]))
        return min(int(np.searchsorted(cumulative, draw, side="right")), last)

    def _wanted(self, cell: int, step: int) -> int:
        if self._bucket_rows:
            return self._bucket_rows[self._rows.cells[cell].bucket]
        return round(value_at(self._config.rows_per_batch, step))

    def _expected_size(self, cell: int, step: int) -> float:
        if self._config.tokens_per_batch == 0:
            return self._order.batch_rows(cell, 0, self._wanted(cell, step))
        budget = value_at(self._config.tokens_per_batch, step)
        mean = self._rows.cells[cell].num_tokens / self._rows.cells[cell].num_rows
        return max(1.0, min(budget / mean, float(self._order.most(cell, 0))))

    def _count_within(self, cell: int, start: int, budget: int) -> int:
        """How many of the next rows of a cell fit into the budget."""
        most = self._order.most(cell, start)
        needed = 1
        while True:
            first, totals = self._look_ahead(cell, start, needed)
            place = start - first
            known = len(totals) - 1 - place
            limit = totals[place] + budget
            fitting = int(np.searchsorted(totals, limit, side="right")) - 1 - place
            if fitting < known or known >= most:
                return max(1, min(fitting, most))
            needed = 2 * known

    def _look_ahead(self, cell: int, start: int, needed: int) -> tuple[int, IntArray]:
        """Where the known stretch of a cell's order begins, and its running totals of tokens."""
        first, totals = self._ahead.get(cell, (0, _NOTHING))
        if start < first or len(totals) - 1 - (start - first) < needed:
            # Small cells go round and round in a stretch: a few epochs are enough.
            width = max(needed, min(_LOOK_AHEAD, 4 * int(self._order.sizes[cell])))
            items = self._order.items(np.full(width, cell), start + np.arange(width))
            totals = np.concatenate([[0], np.cumsum(self._rows.costs[items])])
            first = start
            self._ahead[cell] = (first, totals)
        return first, totals
