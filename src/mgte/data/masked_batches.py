"""MaskedBatches: texts from token shards, framed and masked."""

import numpy as np

from mgte.data.batches import MaskedBatch, TokenArray
from mgte.data.making import MadeBatch, row_keys
from mgte.data.masking import MaskingConfig, can_mask, mask_rule, mask_tokens
from mgte.data.plan import PlannedBatch
from mgte.data.scheduled import value_at
from mgte.data.text_frame import text_frame
from mgte.data.training_rows import TrainingRows
from mgte.errors import DataError
from mgte.text import Tokenizer


class MaskedBatches:
    """Makes masked batches; see `BatchMaker`.

    Args:
        dataset: Rows of kind "texts".
        tokenizer: The tokenizer that the dataset was prepared with.
        config: How texts are masked.
        seed: Seed of run and stage.
    """

    def __init__(
        self, dataset: TrainingRows, tokenizer: Tokenizer, config: MaskingConfig, *, seed: int
    ) -> None:
        self._dataset = dataset
        self._frame = text_frame(tokenizer)
        self._rule = mask_rule(tokenizer, config)
        self._config = config
        self._seed = seed

    def make(self, planned: PlannedBatch, share: slice) -> MadeBatch:
        """Make one process's share of a batch; see `BatchMaker`.

        At least one token of the whole batch is masked.
        """
        positions = np.arange(len(planned))[share]
        probability = value_at(self._config.mask_probability, planned.step)
        masked = mask_tokens(
            [self._sequence(planned, position) for position in positions.tolist()],
            row_keys(self._seed, "masking", planned, positions),
            self._rule,
            probability,
            forced=self._forced(planned, share),
        )
        batch = MaskedBatch(
            sequences=masked.sequences,
            positions=masked.positions,
            labels=masked.labels,
            rows=planned.rows[share],
            source=planned.source,
        )
        return MadeBatch(
            batch=batch, num_tokens=sum(map(len, masked.sequences)), num_tokens_dropped=0
        )

    def _sequence(self, planned: PlannedBatch, position: int) -> TokenArray:
        """Token ids of one row with its special tokens."""
        start, stop = int(planned.starts[position]), int(planned.stops[position])
        tokens = self._dataset.tokens(int(planned.rows[position]), start, stop)
        size = len(self._frame.start)
        framed = np.empty(len(tokens) + self._frame.num_tokens, dtype=np.int32)
        framed[:size] = self._frame.start
        framed[size : size + len(tokens)] = tokens
        framed[size + len(tokens) :] = self._frame.end
        return framed

    def _forced(self, planned: PlannedBatch, share: slice) -> int | None:
        """The sequence of the share that must hold a masked token: the batch's first that can."""
        for position in range(len(planned)):
            if can_mask(self._sequence(planned, position), self._rule):
                first, last, _ = share.indices(len(planned))
                return position - first if first <= position < last else None
        places = self._dataset.place(int(planned.rows[0]))
        raise DataError(f"{places}: has only special tokens, as all rows of its batch")
