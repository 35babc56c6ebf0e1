"""Ranking: documents of one query, best first, with one rule for ties everywhere."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Ranking:
    """Documents of one query by falling score; equal scores stand in the order of their rows.

    Attributes:
        rows: int64 `[num_found]`, rows of the documents in their collection.
        scores: float32 `[num_found]`.
    """

    rows: IntArray
    scores: FloatArray

    def __len__(self) -> int:
        return len(self.rows)

    def first(self, count: int) -> "Ranking":
        """The best `count` documents."""
        return Ranking(rows=self.rows[:count], scores=self.scores[:count])


def rank_rows(rows: IntArray, scores: FloatArray, count: int) -> Ranking:
    """The best of some documents.

    Args:
        rows: int64 `[num_rows]`, each at most once.
        scores: float32 `[num_rows]`.
        count: How many to keep at most.

    Returns:
        Their ranking.
    """
    if len(rows) > count:
        threshold = np.partition(scores, len(scores) - count)[len(scores) - count]
        kept = np.flatnonzero(scores >= threshold)
        rows, scores = rows[kept], scores[kept]
    order = np.lexsort((rows, -scores))[:count]
    return Ranking(rows=rows[order], scores=scores[order])


def rank_positive(scores: FloatArray, count: int) -> Ranking:
    """The best documents that share anything with a query: those with a score above 0.

    Args:
        scores: float32 `[num_documents]`, one score per row.
        count: How many to keep at most.

    Returns:
        Their ranking.
    """
    rows = np.flatnonzero(scores > 0)
    return rank_rows(rows, scores[rows], count)
