"""search_in_parts: search while embedding, part by part, where all vectors do not fit in memory."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from mgte.errors import DataError
from mgte.search.encoding import TextVectors, encode_texts
from mgte.search.inverted_lists import InvertedLists
from mgte.search.nearest import nearest_rows
from mgte.search.ranking import Ranking, rank_rows
from mgte.vectors import Embeddings

_TEXTS_PER_PART = 262_144


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FoundInParts:
    """What a search in parts found.

    Attributes:
        dense: One ranking per query; None where queries have no dense vectors.
        sparse: One ranking per query; None where queries have no token weights.
        num_truncated: Texts of which tokens were dropped.
        seconds: "embed", "dense" and "sparse" to how long they took.
    """

    dense: list[Ranking] | None
    sparse: list[Ranking] | None
    num_truncated: int
    seconds: dict[str, float] = field(repr=False)


def search_in_parts(
    encode: Callable[[Sequence[str]], Embeddings],
    queries: TextVectors,
    texts: Sequence[str],
    count: int,
    *,
    device: str | torch.device = "cpu",
    texts_per_part: int = _TEXTS_PER_PART,
) -> FoundInParts:
    """Find the best texts for each query without ever holding the vectors of all.

    Finds what a search of all vectors finds: per part the best `count`, of which the best `count`
    are kept. Memory is needed for the vectors of one part.

    Args:
        encode: Embeds some texts, as `queries` were embedded.
        queries: Vectors of the queries.
        texts: Texts that are searched.
        count: Texts per query; fewer where there are not as many.
        device: Where dense vectors are compared.
        texts_per_part: Texts whose vectors are held at once.

    Returns:
        Rankings by dense vectors and by token weights, as far as the queries have them.

    Raises:
        DataError: Texts lack what the queries have, widths differ, or a vector is no number.
    """
    dense: list[Ranking] | None = None
    sparse: list[Ranking] | None = None
    num_truncated = 0
    seconds: dict[str, float] = {}
    clock = _Clock(seconds)
    for start in range(0, len(texts), texts_per_part):
        part = encode_texts(encode, texts[start : start + texts_per_part])
        clock.add("embed")
        num_truncated += part.num_truncated
        if queries.dense is not None:
            if part.dense is None:
                raise DataError("search in parts: got texts without dense vectors, expected some")
            found = nearest_rows(queries.dense, part.dense, count, device=device)
            dense = merge_rankings(dense, found, start, count)
            clock.add("dense")
        if queries.sparse is not None:
            if part.sparse is None:
                raise DataError("search in parts: got texts without token weights, expected some")
            found = InvertedLists(part.sparse).best_rows(queries.sparse, count)
            sparse = merge_rankings(sparse, found, start, count)
            clock.add("sparse")
    return FoundInParts(dense=dense, sparse=sparse, num_truncated=num_truncated, seconds=seconds)


def merge_rankings(
    before: Sequence[Ranking] | None, found: Sequence[Ranking], start: int, count: int
) -> list[Ranking]:
    """Rankings of one more part of a collection, with those of the parts before it.

    Args:
        before: One ranking per query; None for the first part.
        found: One ranking per query, of the part; rows count from its start.
        start: First row of the part.
        count: Texts to keep per query at most.

    Returns:
        One ranking per query, rows counted from the start of the collection.
    """
    moved = [Ranking(rows=ranking.rows + start, scores=ranking.scores) for ranking in found]
    if before is None:
        return moved
    return [
        rank_rows(
            np.concatenate([old.rows, new.rows]), np.concatenate([old.scores, new.scores]), count
        )
        for old, new in zip(before, moved, strict=True)
    ]


class _Clock:
    """Adds the time since the last call to a part of the work."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds = seconds
        self._last = time.perf_counter()

    def add(self, name: str) -> None:
        now = time.perf_counter()
        self._seconds[name] = self._seconds.get(name, 0.0) + now - self._last
        self._last = now
