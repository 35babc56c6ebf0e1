"""Exact search equals a sorted list, ties and block borders included."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgte.errors import DataError
from mgte.search import DocumentVectors, nearest_rows, rank_positive, rank_rows


def by_sorting(scores: np.ndarray, count: int) -> list[int]:
    return sorted(range(len(scores)), key=lambda row: (-scores[row], row))[:count]


@given(st.integers(0, 2**32), st.integers(0, 40), st.integers(1, 50), st.integers(1, 17))
def test_nearest_rows_equals_sorting(seed, num_documents, count, block) -> None:
    random = np.random.default_rng(seed)
    # Small whole numbers: products are exact, and many are equal.
    queries = random.integers(-1, 2, (3, 4)).astype(np.float32)
    documents = random.integers(-1, 2, (num_documents, 4)).astype(np.float32)
    found = nearest_rows(queries, documents, count, documents_per_block=block)
    for query, ranking in zip(queries, found, strict=True):
        scores = documents @ query
        assert ranking.rows.tolist() == by_sorting(scores, count)
        np.testing.assert_array_equal(ranking.scores, scores[ranking.rows])


def test_many_queries_are_searched_in_blocks() -> None:
    random = np.random.default_rng(0)
    queries = random.standard_normal((600, 8), dtype=np.float32)
    documents = random.standard_normal((500, 8), dtype=np.float32)
    found = nearest_rows(queries, documents, 5, documents_per_block=64)
    expected = np.argsort(-(queries @ documents.T), axis=1, kind="stable")[:, :5]
    np.testing.assert_array_equal(np.stack([ranking.rows for ranking in found]), expected)


def test_documents_are_placed_once_and_searched_often(monkeypatch) -> None:
    random = np.random.default_rng(0)
    queries = random.standard_normal((30, 8), dtype=np.float32)
    documents = random.standard_normal((500, 8), dtype=np.float32)
    expected = nearest_rows(queries, documents, 5)
    for limit in (1 << 30, 0):  # vectors that stay on the device, and those that are too many
        monkeypatch.setattr("mgte.search.nearest._RESIDENT_BYTES", limit)
        placed = DocumentVectors(documents, documents_per_block=64)
        found = [one for part in np.split(queries, 3) for one in placed.nearest(part, 5)]
        for ranking, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(ranking.rows, other.rows)


@pytest.mark.gpu
def test_a_gpu_finds_the_same(monkeypatch) -> None:
    random = np.random.default_rng(0)
    # Small whole numbers: products are exact, and many are equal.
    queries = random.integers(-2, 3, (300, 6)).astype(np.float32)
    documents = random.integers(-2, 3, (2000, 6)).astype(np.float32)
    expected = nearest_rows(queries, documents, 40)
    for limit in (1 << 30, 0):
        monkeypatch.setattr("mgte.search.nearest._RESIDENT_BYTES", limit)
        found = nearest_rows(queries, documents, 40, device="cuda", documents_per_block=300)
        for ranking, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(ranking.rows, other.rows)
            np.testing.assert_array_equal(ranking.scores, other.scores)


@given(st.lists(st.integers(-2, 2), max_size=30), st.integers(1, 40))
def test_rank_rows_equals_sorting(values, count) -> None:
    scores = np.array(values, dtype=np.float32)
    ranking = rank_rows(np.arange(len(values)), scores, count)
    assert ranking.rows.tolist() == by_sorting(scores, count)
    positive = [row for row in by_sorting(scores, len(values)) if scores[row] > 0]
    assert rank_positive(scores, count).rows.tolist() == positive[:count]


def test_what_cannot_be_compared_is_refused() -> None:
    good = np.zeros((2, 3), np.float32)
    bad = good.copy()
    bad[1, 2] = np.nan
    with pytest.raises(DataError, match="document vectors: row 1 holds NaN"):
        nearest_rows(good, bad, 1)
    with pytest.raises(DataError, match="query vectors: row 1 holds NaN"):
        nearest_rows(bad, good, 1)
    with pytest.raises(DataError, match="3 dimensions and documents 2, expected equal"):
        nearest_rows(good, np.zeros((2, 2), np.float32), 1)
