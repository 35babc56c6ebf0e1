"""VectorBatches: texts with the vectors that a teacher gives them."""

from mgte.data.batches import VectorBatch
from mgte.data.making import DropCounter, MadeBatch
from mgte.data.plan import PlannedBatch
from mgte.data.text_frame import text_frame
from mgte.data.training_rows import TrainingRows
from mgte.text import Tokenizer


class VectorBatches:
    """Makes batches of texts and vectors; see `BatchMaker`.

    Args:
        dataset: Rows of kind "vectors".
        tokenizer: The student's tokenizer.
        max_length: Longest text in tokens, special tokens included.
        prompt: Put before every text.
    """

    def __init__(
        self, dataset: TrainingRows, tokenizer: Tokenizer, *, max_length: int, prompt: str
    ) -> None:
        self._dataset = dataset
        self._tokenizer = tokenizer
        self._max_length = max_length
        self._prompt = prompt
        self._overhead = text_frame(tokenizer).num_tokens
        self._counter = DropCounter(tokenizer)

    def make(self, planned: PlannedBatch, share: slice) -> MadeBatch:
        """Make one process's share of a batch; see `BatchMaker`."""
        rows = planned.rows[share]
        texts, vectors = self._dataset.vector_rows(rows)
        self._counter.learn(texts, self._dataset.lengths[rows])
        texts = [self._prompt + text for text in texts]
        encoded = self._tokenizer.encode(texts, max_length=self._max_length)
        batch = VectorBatch(
            sequences=tuple(encoded.ids), vectors=vectors, rows=rows, source=planned.source
        )
        return MadeBatch(
            batch=batch,
            num_tokens=int(encoded.num_tokens.sum()),
            num_tokens_dropped=self._counter.dropped(texts, encoded, self._overhead),
        )
