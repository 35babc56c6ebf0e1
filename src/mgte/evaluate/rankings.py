"""Rankings from several scores: hybrid of dense and sparse, and the reranked top of a ranking."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgte.evaluate.collection import Collection
from mgte.evaluate.retrieval_config import HybridConfig
from mgte.search import FloatArray, IntArray, Ranking, rank_rows


def without_own(rankings: Sequence[Ranking], collection: Collection, count: int) -> list[Ranking]:
    """Rankings without the documents that are the queries themselves, or are excluded for them.

    Args:
        rankings: One per query, of `collection.num_left_out` documents more than are wanted.
        collection: What was searched.
        count: Documents to keep at most.

    Returns:
        One ranking per query.
    """
    kept = []
    for query, ranking in zip(collection.queries, rankings, strict=True):
        left_out = collection.left_out_rows(query.query_id)
        if left_out:
            is_other = ~np.isin(ranking.rows, left_out)
            ranking = Ranking(rows=ranking.rows[is_other], scores=ranking.scores[is_other])
        kept.append(ranking.first(count))
    return kept


def hybrid_ranking(dense: Ranking, sparse: Ranking, config: HybridConfig, count: int) -> Ranking:
    """One ranking of dense and sparse candidates of a query.

    Args:
        dense: Candidates of the dense search.
        sparse: Candidates of the sparse search.
        config: How scores are added.
        count: Documents to keep at most.

    Returns:
        The union of both by their summed scores; a score that is missing counts 0. Source: mGTE,
        arXiv 2407.19669, section 4.
    """
    rows = np.union1d(dense.rows, sparse.rows)
    weight = config.sparse_weight
    if config.sparse_scale == "query" and len(sparse):
        weight /= float(sparse.scores.max())
    scores = np.zeros(len(rows), dtype=np.float64)
    scores[np.searchsorted(rows, dense.rows)] += dense.scores
    scores[np.searchsorted(rows, sparse.rows)] += weight * sparse.scores.astype(np.float64)
    return rank_rows(rows, scores.astype(np.float32), count)


def complete(ranking: Ranking, rows: IntArray, all_scores: FloatArray) -> Ranking:
    """A ranking of exactly `rows`, with scores looked up where it lacks them.

    Args:
        ranking: What a search found.
        rows: int64 `[num_rows]`, rows of the documents that are wanted.
        all_scores: float32 `[num_rows]`, their scores.

    Returns:
        The ranking; a score that the search gave is kept.
    """
    scores = all_scores.astype(np.float32, copy=True)
    order = np.argsort(rows)
    places = order[np.searchsorted(rows, ranking.rows, sorter=order)]
    scores[places] = ranking.scores
    return rank_rows(rows, scores, len(rows))


def rerank(ranking: Ranking, scores: FloatArray, *, blend: float = 0.0) -> Ranking:
    """The top of a ranking in a new order, the rest below it as it was.

    Args:
        ranking: First ranking.
        scores: float32 `[depth]`, reranker's scores of its first documents.
        blend: Share of the first ranking in the new score; both are stretched to 0..1 over the
            reranked documents of the query. 0 takes the reranker's scores alone.

    Returns:
        The new ranking; equal scores keep their first order. Scores of the rest lie below.
    """
    depth = len(scores)
    if depth == 0:
        return ranking
    new = scores.astype(np.float64)
    if blend:
        new = (1.0 - blend) * _stretched(new) + blend * _stretched(ranking.scores[:depth])
    order = np.argsort(-new, kind="stable")
    rest = np.arange(len(ranking) - depth, dtype=np.float64)
    return Ranking(
        rows=np.concatenate([ranking.rows[:depth][order], ranking.rows[depth:]]),
        scores=np.concatenate([new[order], new.min() - 1.0 - rest]).astype(np.float32),
    )


def _stretched(scores: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    low, high = float(scores.min()), float(scores.max())
    values = scores.astype(np.float64)
    return (values - low) / (high - low) if high > low else np.zeros(len(values))
