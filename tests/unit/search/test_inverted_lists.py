"""Inverted lists give the products that dense vectors give."""

import numpy as np
import pytest

from mgte.errors import DataError
from mgte.search import InvertedLists
from mgte.vectors import SparseVectors


def sparse_of(matrix: np.ndarray) -> SparseVectors:
    rows = [np.flatnonzero(row) for row in matrix]
    return SparseVectors(
        indptr=np.cumsum([0, *map(len, rows)], dtype=np.int64),
        indices=np.concatenate(rows).astype(np.int32),
        values=np.concatenate([line[row] for line, row in zip(matrix, rows, strict=True)]).astype(
            np.float32
        ),
        vocab_size=matrix.shape[1],
    )


def random_weights(seed: int, num_rows: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.where(random.random((num_rows, 50)) < 0.1, random.random((num_rows, 50)), 0)


def test_scores_equal_products_of_full_vectors() -> None:
    queries, documents = random_weights(0, 7), random_weights(1, 40)
    queries[3] = 0
    lists = InvertedLists(sparse_of(documents))
    scores = np.stack(list(lists.scores(sparse_of(queries))))
    np.testing.assert_allclose(scores, queries @ documents.T, atol=1e-6)
    np.testing.assert_allclose(scores, sparse_of(queries).dot(sparse_of(documents)), atol=1e-6)
    for row, ranking in enumerate(lists.best_rows(sparse_of(queries), 5)):
        assert (scores[row][ranking.rows] > 0).all()
        assert len(ranking) == min(5, (scores[row] > 0).sum())


def test_other_vocabularies_and_nan_are_refused() -> None:
    lists = InvertedLists(sparse_of(random_weights(0, 3)))
    with pytest.raises(DataError, match="over 20 tokens, expected 50"):
        list(lists.scores(sparse_of(random_weights(1, 3)[:, :20])))
    broken = random_weights(0, 3)
    broken[2, 7] = np.nan
    with pytest.raises(DataError, match="document weights: row 2 holds NaN"):
        InvertedLists(sparse_of(broken))
