"""MixedDrawing: every slot of a batch draws its group; batches mix sources and languages."""

import numpy as np
from numpy.typing import NDArray

from mgte.data.batches import IntArray
from mgte.data.cell_order import CellOrder, Taking
from mgte.data.config import DataConfig
from mgte.data.costs_ahead import CostsAhead
from mgte.data.drawing import GroupRates
from mgte.data.plan_rows import PlanRows
from mgte.data.scheduled import value_at
from mgte.data.seeds import DrawSequence, mix_seed, uniforms

# Slots that are drawn beyond those that a token budget takes on average.
_SPARE_FACTOR, _SPARE_SLOTS = 1.25, 8
# Where small groups may not repeat rows, a budget may be out of reach; after so many times the
# slots that should have done, the batch stays as it is.
_MOST_TRIES = 64


class MixedDrawing:
    """Draws a length bucket where there are some, then a group for every slot.

    The slots of a batch of known size are drawn together, by one random number that cuts the line
    of probabilities at equal distances (systematic sampling): every group gets q_i times the slots
    on average and never differs from that by one or more. Under a token budget each slot draws
    alone.

    Args:
        rows: The plan's rows.
        order: Order of the cells' rows.
        config: Batch sizes and sampling.
        seed: Seed of the draws.
    """

    def __init__(self, rows: PlanRows, order: CellOrder, config: DataConfig, *, seed: int) -> None:
        self._order = order
        self._config = config
        self._bucket_draws = DrawSequence(mix_seed(seed, "bucket"))
        self._slot_draws = DrawSequence(mix_seed(seed, "slots"))
        self._slot_seed = mix_seed(seed, "slot")
        self._costs = CostsAhead(order, rows.costs)
        self._rates = GroupRates(config.sampling, rows.group_names, rows.group_counts)
        self._groups = np.array([cell.group for cell in rows.cells])
        self._buckets = np.array([cell.bucket for cell in rows.cells])
        counts = np.array([cell.num_rows for cell in rows.cells])
        self._shares = counts / rows.group_counts[self._groups]
        self._mean_tokens = np.array([cell.num_tokens for cell in rows.cells]) / counts

    def take(self, step: int, index: int, drawn: IntArray) -> Taking:
        """Rows of the groups that the slots drew; see `Drawing`."""
        batch = step * self._config.batches_per_step + index
        rates = self._row_rates(step)
        bucket = self._draw_bucket(rates, batch)
        rates = np.where(self._buckets == bucket, rates, 0.0)
        rates /= rates.sum()
        if self._config.tokens_per_batch != 0:
            counts = self._fill(
                rates, batch, drawn, int(value_at(self._config.tokens_per_batch, step))
            )
        else:
            counts = self._spread(rates, batch, self._size(bucket, step))
            for cell in np.flatnonzero(counts > self._order.windows).tolist():
                counts[cell] = min(int(counts[cell]), self._order.most(cell, int(drawn[cell])))
        cells = np.flatnonzero(counts)
        return Taking(cells=cells, starts=drawn[cells], counts=counts[cells])

    def expected_rows(self, step: int) -> NDArray[np.float64]:
        """Rows that a batch takes of each cell on average; see `Drawing`."""
        rates = self._row_rates(step)
        chances = self._bucket_chances(rates)
        expected = np.zeros(len(rates))
        for bucket, chance in enumerate(chances.tolist()):
            own = np.where(self._buckets == bucket, rates, 0.0)
            if not own.any():
                continue
            own = own / own.sum()
            if self._config.tokens_per_batch != 0:
                budget = value_at(self._config.tokens_per_batch, step)
                size = budget / float(own @ self._mean_tokens)
            else:
                size = self._size(bucket, step)
            expected += chance * size * own
        return expected

    def _row_rates(self, step: int) -> NDArray[np.float64]:
        """Share of all drawn rows that each cell should give."""
        return np.asarray(self._rates.at(step)[self._groups] * self._shares)

    def _bucket_chances(self, rates: NDArray[np.float64]) -> NDArray[np.float64]:
        """Chance of each bucket: in proportion to the batches that its share of rows makes."""
        chances = np.bincount(self._buckets, weights=rates, minlength=1)
        if self._config.buckets:
            sizes = [bucket.rows for bucket in self._config.buckets]
            chances = chances / np.array(sizes[: len(chances)])
        return np.asarray(chances / chances.sum())

    def _draw_bucket(self, rates: NDArray[np.float64], batch: int) -> int:
        if not self._config.buckets:
            return 0
        cumulative = np.cumsum(self._bucket_chances(rates))
        draw = self._bucket_draws.at(batch) * cumulative[-1]
        last = int(np.searchsorted(cumulative, cumulative[-1]))
        return min(int(np.searchsorted(cumulative, draw, side="right")), last)

    def _size(self, bucket: int, step: int) -> int:
        if self._config.buckets:
            return self._config.buckets[bucket].rows
        return round(value_at(self._config.rows_per_batch, step))

    def _spread(self, rates: NDArray[np.float64], batch: int, size: int) -> IntArray:
        """Slots of each cell."""
        edges = np.floor(np.cumsum(rates) * size + self._slot_draws.at(batch)).astype(np.int64)
        # Rounding must not move the end of the line.
        edges[np.cumsum(rates) >= np.cumsum(rates)[-1]] = size
        return np.diff(np.minimum(edges, size), prepend=0)

    def _fill(
        self, rates: NDArray[np.float64], batch: int, drawn: IntArray, budget: int
    ) -> IntArray:
        """Rows of each cell when slots are filled until the budget is reached."""
        key = mix_seed(self._slot_seed, batch)
        cumulative = np.cumsum(rates)
        last = int(np.searchsorted(cumulative, cumulative[-1]))
        most = np.array([self._order.most(cell, int(n)) for cell, n in enumerate(drawn.tolist())])
        num_slots = int(budget / float(rates @ self._mean_tokens) * _SPARE_FACTOR) + _SPARE_SLOTS
        most_slots = num_slots * _MOST_TRIES
        while True:
            draws = uniforms(key, np.arange(num_slots)) * cumulative[-1]
            cells = np.minimum(np.searchsorted(cumulative, draws, side="right"), last)
            turns = _turns(cells)
            is_given = turns < most[cells]
            cells, turns = cells[is_given], turns[is_given]
            spent = np.cumsum(self._costs.at(cells, drawn[cells] + turns))
            fitting = int(np.searchsorted(spent, budget, side="right"))
            if fitting < len(cells) or num_slots >= most_slots:
                return np.bincount(cells[: max(1, fitting)], minlength=len(rates))
            num_slots *= 2


def _turns(cells: IntArray) -> IntArray:
    """How many times each slot's cell has been drawn before that slot."""
    order = np.argsort(cells, kind="stable")
    ordered = cells[order]
    firsts = np.searchsorted(ordered, ordered, side="left")
    turns = np.empty_like(cells)
    turns[order] = np.arange(len(cells)) - firsts
    return turns
