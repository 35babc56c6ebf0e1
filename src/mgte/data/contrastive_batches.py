"""ContrastiveBatches: queries with a positive and hard negatives, tokenised."""

import numpy as np

from mgte.data.batches import ContrastiveBatch
from mgte.data.candidates import Candidates, choose_candidates, turn_around
from mgte.data.hashing import text_hashes
from mgte.data.making import DropCounter, MadeBatch, learn_lengths, row_keys
from mgte.data.plan import PlannedBatch
from mgte.data.text_frame import text_frame
from mgte.data.training_rows import TrainingRows
from mgte.text import TokenizedTexts, Tokenizer


class ContrastiveBatches:
    """Makes batches of queries and documents; see `BatchMaker`.

    Args:
        dataset: Rows of kind "pairs" or "groups".
        tokenizer: The tokenizer.
        limits: Longest query and longest document in tokens, special tokens included.
        prompts: What is put before queries and before documents; not part of the texts' hashes.
        negatives: Hard negatives of each query, if it has so many.
        seed: Seed of run and stage.
    """

    def __init__(
        self,
        dataset: TrainingRows,
        tokenizer: Tokenizer,
        *,
        limits: tuple[int, int],
        prompts: tuple[str, str],
        negatives: int,
        seed: int,
    ) -> None:
        self._dataset = dataset
        self._tokenizer = tokenizer
        self._limits = limits
        self._prompts = prompts
        self._negatives = negatives
        self._seed = seed
        self._overhead = text_frame(tokenizer).num_tokens
        self._counter = DropCounter(tokenizer)

    def make(self, planned: PlannedBatch, share: slice) -> MadeBatch:
        """Make one process's share of a batch; see `BatchMaker`."""
        chosen = self._choose(planned, share)
        queries = [candidates.query for candidates in chosen]
        documents = [text for candidates in chosen for text in candidates.documents]
        scores = [score for candidates in chosen for score in candidates.scores]
        counts = [len(candidates.documents) for candidates in chosen]
        encoded_queries, dropped_of_queries = self._encode(queries, 0)
        encoded_documents, dropped_of_documents = self._encode(documents, 1)
        batch = ContrastiveBatch(
            queries=tuple(encoded_queries.ids),
            documents=tuple(encoded_documents.ids),
            cu_documents=np.cumsum([0, *counts], dtype=np.int64),
            query_hashes=text_hashes(queries),
            document_hashes=text_hashes(documents),
            teacher_scores=np.array(scores, dtype=np.float32),
            rows=planned.rows[share],
            source=planned.source,
        )
        num_tokens = encoded_queries.num_tokens.sum() + encoded_documents.num_tokens.sum()
        return MadeBatch(
            batch=batch,
            num_tokens=int(num_tokens),
            num_tokens_dropped=dropped_of_queries + dropped_of_documents,
        )

    def _choose(self, planned: PlannedBatch, share: slice) -> list[Candidates]:
        rows = planned.rows[share]
        positions = np.arange(len(planned))[share]
        keys = row_keys(self._seed, "candidates", planned, positions)
        coins = row_keys(self._seed, "sides", planned, positions) & np.uint64(1)
        is_symmetric = np.array(self._dataset.symmetric, dtype=np.bool_)
        is_turned = is_symmetric[self._dataset.source_ids[rows]] & (coins == 1)
        groups = self._dataset.groups(rows)
        learn_lengths(self._counter, self._dataset, rows, groups)
        return [
            choose_candidates(turn_around(group) if turned else group, key, self._negatives)
            for group, turned, key in zip(groups, is_turned.tolist(), keys.tolist(), strict=True)
        ]

    def _encode(self, texts: list[str], side: int) -> tuple[TokenizedTexts, int]:
        """Ids of queries (0) or documents (1), and how many tokens were cut off."""
        texts = [self._prompts[side] + text for text in texts]
        encoded = self._tokenizer.encode(texts, max_length=self._limits[side])
        return encoded, self._counter.dropped(texts, encoded, self._overhead)
