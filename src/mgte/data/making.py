"""BatchMaker: the seam between the plan's rows and the batches of one kind of objective."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mgte.data.batches import Batch, IntArray
from mgte.data.plan import PlannedBatch
from mgte.data.seeds import WordArray, mix_seed, words
from mgte.data.training_rows import TrainingRows
from mgte.text import TokenizedTexts, Tokenizer, TrainingGroup

# Token counts that are remembered, so that the second epoch need not count again.
_MOST_COUNTS = 500_000


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MadeBatch:
    """A share of a batch.

    Attributes:
        batch: The share.
        num_tokens: Its tokens that pass through the model.
        num_tokens_dropped: Its tokens that were cut off.
    """

    batch: Batch
    num_tokens: int
    num_tokens_dropped: int


class BatchMaker(Protocol):
    """Makes batches of one kind."""

    def make(self, planned: PlannedBatch, share: slice) -> MadeBatch:
        """Make one process's share of a batch.

        Args:
            planned: The rows of the whole batch.
            share: The part of them that is this process's.

        Returns:
            The share; shares laid end to end are the whole batch.
        """
        ...


def row_keys(seed: int, purpose: str, planned: PlannedBatch, positions: IntArray) -> WordArray:
    """A key for every row of a batch, whichever process asks.

    Args:
        seed: Seed of run and stage.
        purpose: What is drawn.
        planned: The batch.
        positions: Positions of the rows in the whole batch.

    Returns:
        uint64, one per position.
    """
    return words(mix_seed(seed, purpose, planned.step, planned.index), positions)


class DropCounter:
    """Counts the tokens that were cut off texts.

    Args:
        tokenizer: The tokenizer.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._counts: dict[int, int] = {}

    def learn(self, texts: list[str], counts: IntArray) -> None:
        """Take over tokens of whole texts that somebody counted before, without special tokens."""
        if len(self._counts) + len(texts) > _MOST_COUNTS:
            self._counts.clear()
        self._counts.update(zip(map(hash, texts), counts.tolist(), strict=True))

    def dropped(self, texts: list[str], encoded: TokenizedTexts, overhead: int) -> int:
        """Tokens of texts that are not in their ids.

        Args:
            texts: The texts with their prompts.
            encoded: Their ids.
            overhead: Special tokens around each text.

        Returns:
            Their number.
        """
        cut = np.flatnonzero(encoded.is_truncated).tolist()
        kept = sum(len(encoded.ids[index]) - overhead for index in cut)
        return int(self.counts([texts[index] for index in cut]).sum()) - kept

    def counts(self, texts: list[str]) -> IntArray:
        """Tokens of whole texts, without special tokens."""
        unknown = {hash(text): text for text in texts if hash(text) not in self._counts}
        if len(self._counts) + len(unknown) > _MOST_COUNTS:
            self._counts.clear()
            unknown = {hash(text): text for text in texts}
        bare = self._tokenizer.encode_bare(list(unknown.values()))
        self._counts.update(zip(unknown, map(len, bare), strict=True))
        return np.array([self._counts[hash(text)] for text in texts], dtype=np.int64)


def learn_lengths(
    counter: DropCounter, dataset: TrainingRows, rows: IntArray, groups: list[TrainingGroup]
) -> None:
    """Tell a counter what the dataset knows: tokens of queries and of only documents.

    Args:
        counter: The counter.
        dataset: The dataset.
        rows: Rows that were read.
        groups: What stands in them.
    """
    counter.learn([group.query for group in groups], dataset.query_lengths[rows])
    is_pair = [len(group.positives) == 1 and not group.negatives for group in groups]
    pairs = [group.positives[0] for group, found in zip(groups, is_pair, strict=True) if found]
    counter.learn(pairs, dataset.lengths[rows[np.array(is_pair, dtype=np.bool_)]])
