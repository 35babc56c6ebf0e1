"""BatchPlan: decides every batch of a stage, whoever asks and however many processes there are.

1. Rows are chosen, cut and sorted into cells (`plan_rows`).
2. A batch draws its cells by a number that belongs to its place in the stage (`drawing`).
3. Each cell gives the next rows of its endless seeded order (`cell_order`).

So all that is remembered is how many rows each cell has given.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mgte.config import to_dict
from mgte.data.batches import IntArray
from mgte.data.cell_drawing import CellDrawing
from mgte.data.cell_order import CellOrder
from mgte.data.config import DataConfig
from mgte.data.drawing import Drawing
from mgte.data.mixed_drawing import MixedDrawing
from mgte.data.permutation import permute
from mgte.data.plan_rows import MIXED, PlanRows, plan_rows
from mgte.data.plan_summary import PlanSummary, summarize_plan
from mgte.data.row_costs import RowShape, default_kind
from mgte.data.scheduled import check_at_least, largest
from mgte.data.seeds import mix_seed
from mgte.data.training_rows import TrainingRows
from mgte.errors import CheckpointError, ConfigError

# Settings that change neither rows nor their order: a run may go on after they were changed.
_FREE_SETTINGS = ("dataset", "tokens_per_chunk")
_STEP = "step"
# Raised with every change to how rows are drawn: a run under way must not go on with other rows.
_PLAN_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PlannedBatch:
    """Rows of one global batch, in order.

    Attributes:
        step: Step, counted from 0.
        index: Which batch of the step.
        rows: Rows of the dataset, int64 [n].
        starts: First token that is read, int64 [n]; 0 except in parts of long texts.
        stops: One past the last token that is read (of the longest text of the row), int64 [n].
        source: Where the rows come from; "mixed" where batches mix sources.
        cell: What may share a batch: source or language, and length bucket.
        num_tokens: Upper bound of the tokens that pass through the model.
    """

    step: int
    index: int
    rows: IntArray
    starts: IntArray
    stops: IntArray
    source: str
    cell: str
    num_tokens: int

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedStep:
    """All batches of one step.

    Attributes:
        step: Step, counted from 0.
        batches: Its batches.
    """

    step: int
    batches: tuple[PlannedBatch, ...]


class BatchPlan:
    """All batches of a stage as a pure function of seed, stage and step.

    Steps may be asked for in any order; one after the other is fastest, as a jump replays the
    draws in between (a quarter of a million steps in seconds; slower under a token budget, where
    the lengths of rows decide).

    Every cell gives each of its rows once per epoch, in a new order each epoch. A batch is full,
    except where its rows must all be different (everything but masked language modelling) and a
    cell holds fewer than two batches of rows, which are then divided evenly.

    Args:
        dataset: The rows.
        config: Batch sizes, limits and sampling.
        seed: Seed of the run.
        stage: Name of the stage.
        pad_tokens: Tokens that are added to every sequence: special tokens and prompts.
        shape: What batches are made for, where the dataset's kind does not tell; its `pad_tokens`
            count.

    Attributes:
        rows: The rows that are drawn from.
        fingerprint: Equal for plans that decide equally.

    Raises:
        ConfigError: The settings contradict each other or the dataset.
        DataError: A source has no rows left.
    """

    def __init__(
        self,
        dataset: TrainingRows,
        config: DataConfig,
        *,
        seed: int,
        stage: str,
        pad_tokens: int,
        shape: RowShape | None = None,
    ) -> None:
        if shape is None:
            shape = RowShape(kind=default_kind(dataset), pad_tokens=pad_tokens)
        self._config = config
        window = _check_sizes(config)
        self.rows: PlanRows = plan_rows(dataset, config, shape, seed=seed)
        _check_budget(config, self.rows)
        plan_seed = mix_seed(seed, stage, "plan")
        repeats = shape.kind == "masked_lm"
        self._order = CellOrder(self.rows, seed=plan_seed, repeats=repeats, window=window)
        self._drawing: Drawing
        if config.sampling.single_source:
            self._drawing = CellDrawing(self.rows, self._order, config, seed=plan_seed)
        else:
            self._drawing = MixedDrawing(self.rows, self._order, config, seed=plan_seed)
        self._slot_seed = mix_seed(plan_seed, "places")
        self._step = 0
        self._drawn = np.zeros(len(self.rows.cells), dtype=np.int64)
        settings = {k: v for k, v in to_dict(config).items() if k not in _FREE_SETTINGS}
        facts = [_PLAN_VERSION, dataset.fingerprint, settings, seed, stage, to_dict(shape)]
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
        self.fingerprint = digest.hexdigest()

    def step(self, step: int) -> PlannedStep:
        """All batches of a step; the plan then stands behind it.

        Args:
            step: Which step, counted from 0.

        Returns:
            The step's batches, the same whatever was asked before.
        """
        if step < self._step:
            self._step = 0
            self._drawn = np.zeros_like(self._drawn)
        while self._step < step:
            for index in range(self._config.batches_per_step):
                taking = self._drawing.take(self._step, index, self._drawn)
                self._drawn[taking.cells] += taking.counts
            self._step += 1
        batches = tuple(self._batch(step, index) for index in range(self._config.batches_per_step))
        self._step = step + 1
        return PlannedStep(step=step, batches=batches)

    def next_step(self) -> PlannedStep:
        """All batches of the step before which the plan stands."""
        return self.step(self._step)

    def state(self) -> dict[str, int]:
        """Where the plan stands: the next step, and how many rows each cell has given."""
        drawn = zip(self.rows.cells, self._drawn.tolist(), strict=True)
        return {_STEP: self._step} | {f"rows of {cell.name}": count for cell, count in drawn}

    def restore(self, state: Mapping[str, int]) -> None:
        """Go to where a plan with the same fingerprint stood.

        Args:
            state: What `state` returned.

        Raises:
            CheckpointError: It is the state of another plan.
        """
        expected = self.state()
        if set(state) != set(expected):
            strange = sorted(set(state) ^ set(expected))[0]
            raise CheckpointError(
                f"data state: does not fit this plan, see {strange!r}",
                hint="resume with the dataset and data settings that the run began with",
            )
        self._step = int(state[_STEP])
        counts = [state[f"rows of {cell.name}"] for cell in self.rows.cells]
        self._drawn = np.array(counts, dtype=np.int64)

    def summary(self, steps: int) -> PlanSummary:
        """What a stage of so many steps will see, estimated from probabilities.

        Args:
            steps: Steps of the stage, at least 1.

        Returns:
            Rows, probabilities and epochs of each group, and tokens per step.
        """
        return summarize_plan(self.rows, self._drawing, self._config, steps)

    def _batch(self, step: int, index: int) -> PlannedBatch:
        taking = self._drawing.take(step, index, self._drawn)
        items = self._order.items_of(taking)
        self._drawn[taking.cells] += taking.counts
        cell = self.rows.cells[int(taking.cells[0])]
        if not self._config.sampling.single_source:
            # Cell by cell the first process would get all rows of the first languages.
            key = mix_seed(self._slot_seed, step, index)
            items = items[permute(np.arange(len(items)), len(items), key)]
        is_mixed = cell.source == MIXED
        return PlannedBatch(
            step=step,
            index=index,
            rows=self.rows.rows[items],
            starts=self.rows.starts[items],
            stops=self.rows.stops[items],
            source=cell.source,
            cell=MIXED if is_mixed else cell.name,
            num_tokens=int(self.rows.costs[items].sum()),
        )


def _check_sizes(config: DataConfig) -> int | None:
    """Check batch sizes; returns the most rows of a batch, None under a token budget."""
    if config.batches_per_step < 1:
        raise ConfigError(f"batches_per_step: got {config.batches_per_step}, expected at least 1")
    if config.negatives < 0:
        raise ConfigError(f"negatives: got {config.negatives}, expected at least 0")
    if config.tokens_per_batch != 0:
        check_at_least(config.tokens_per_batch, 1, "tokens_per_batch")
        return None
    if config.buckets:
        for number, bucket in enumerate(config.buckets):
            check_at_least(bucket.rows, 1, f"buckets.{number}.rows")
        return max(bucket.rows for bucket in config.buckets)
    check_at_least(config.rows_per_batch, 1, "rows_per_batch")
    return round(largest(config.rows_per_batch))


def _check_budget(config: DataConfig, rows: PlanRows) -> None:
    if config.tokens_per_batch == 0:
        return
    longest = int(rows.costs.max())
    check_at_least(config.tokens_per_batch, longest, "tokens_per_batch (one row must fit)")
