"""Vectors in fewer bytes are found as if compared one by one."""

import numpy as np
import pytest

from mgte.errors import ConfigError, DataError
from mgte.evaluate import quantized_vectors
from mgte.evaluate.quantized_vectors import PRECISIONS, ByteVectors, RescoredVectors, quantize
from mgte.search import nearest_rows, rank_rows

RANDOM = np.random.default_rng(7)


def made(count: int, width: int) -> np.ndarray:
    vectors = RANDOM.normal(size=(count, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def rows_of(rankings) -> list[list[int]]:
    return [ranking.rows.tolist() for ranking in rankings]


def test_float32_is_the_plain_search() -> None:
    queries, documents = made(5, 24), made(300, 24)
    vectors = quantize(documents, "float32")
    assert rows_of(vectors.nearest(queries, 10)) == rows_of(nearest_rows(queries, documents, 10))
    assert vectors.bytes_per_document == 96


def test_float16_compares_halves(monkeypatch) -> None:
    monkeypatch.setattr(quantized_vectors, "_DOCUMENTS_PER_BLOCK", 64)
    queries, documents = made(5, 24), made(300, 24)
    vectors = quantize(documents, "float16")
    halves = documents.astype(np.float16).astype(np.float32)
    assert rows_of(vectors.nearest(queries, 10)) == rows_of(nearest_rows(queries, halves, 10))
    assert vectors.bytes_per_document == 48
    with pytest.raises(DataError, match="70000 is too large for float16"):
        quantize(documents * 0 + 70_000, "float16")


def test_int8_is_within_half_a_step(monkeypatch) -> None:
    monkeypatch.setattr(quantized_vectors, "_DOCUMENTS_PER_BLOCK", 64)
    queries, documents = made(5, 24), made(300, 24)
    documents[:, 3] = 0.25  # a dimension that tells nothing
    vectors = ByteVectors(documents)
    kept = vectors.values(np.arange(300))
    step = (documents.max(axis=0) - documents.min(axis=0)) / 255
    assert (np.abs(kept - documents) <= step / 2 + 1e-6).all()
    for ranking, query in zip(vectors.nearest(queries, 300), queries, strict=True):
        expected = kept @ query
        np.testing.assert_allclose(ranking.scores, expected[ranking.rows], atol=1e-5)
        assert (np.diff(ranking.scores) <= 0).all()
        assert sorted(ranking.rows) == list(range(300))
    assert vectors.bytes_per_document == 24


def test_values_beyond_the_sample_are_cut(monkeypatch) -> None:
    monkeypatch.setattr(quantized_vectors, "_MOST_CALIBRATED", 50)
    documents = made(200, 4)
    kept = ByteVectors(documents, seed=1).values(np.arange(200))
    sample = documents[np.random.default_rng(1).choice(200, 50, replace=False)]
    low, high = sample.min(axis=0), sample.max(axis=0)
    assert (kept >= low - 1e-6).all()
    assert (kept <= high + 1e-6).all()
    assert (np.abs(kept - np.clip(documents, low, high)) <= (high - low) / 510 + 1e-6).all()


@pytest.mark.parametrize("width", [3, 8, 64, 100, 192])
@pytest.mark.parametrize("numpy_version", [np.__version__, "1.26.4"])
def test_bits_are_ranked_by_hamming_distance(monkeypatch, width, numpy_version) -> None:
    monkeypatch.setattr(np, "__version__", numpy_version)
    queries, documents = made(6, width), made(150, width)
    documents[::7, 0] = 0.0  # 0 is not above 0
    vectors = quantize(documents, "binary")
    for query, ranking in zip(queries, vectors.nearest(queries, 20), strict=True):
        distances = ((query > 0) != (documents > 0)).sum(axis=1)
        expected = rank_rows(np.arange(150), (width - 2 * distances).astype(np.float32), 20)
        assert ranking.rows.tolist() == expected.rows.tolist()
        assert ranking.scores.tolist() == expected.scores.tolist()
    assert vectors.bytes_per_document == -(-width // 8)


def test_candidates_of_bits_are_put_in_order_by_bytes() -> None:
    queries, documents = made(6, 40), made(150, 40)
    vectors = quantize(documents, "binary-rescored", candidates=3)
    first = quantize(documents, "binary").nearest(queries, 30)
    kept = ByteVectors(documents).values(np.arange(150))
    for query, candidates, ranking in zip(
        queries, first, vectors.nearest(queries, 10), strict=True
    ):
        scores = kept[candidates.rows] @ query
        expected = candidates.rows[np.lexsort((candidates.rows, -scores))][:10]
        assert ranking.rows.tolist() == expected.tolist()
    assert vectors.bytes_per_document == 5 + 40
    # With all documents as candidates, bits no longer matter.
    everything = RescoredVectors(documents, candidates=15).nearest(queries, 10)
    assert rows_of(everything) == rows_of(quantize(documents, "int8").nearest(queries, 10))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_less_is_kept_of_more_and_most_is_found(precision) -> None:
    documents = made(400, 64)
    queries = documents[:20] + 0.05 * made(20, 64)
    found = quantize(documents, precision).nearest(queries, 1)
    assert [ranking.rows[0] for ranking in found] == list(range(20))
    assert len(quantize(documents, precision).nearest(queries, 1000)[0]) == 400


@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_cannot_be_compared_is_refused(precision) -> None:
    documents = made(10, 8)
    with pytest.raises(DataError, match="queries have 9 dimensions and documents 8"):
        quantize(documents, precision).nearest(made(1, 9), 2)
    with pytest.raises(DataError, match="row 4 holds NaN"):
        quantize(np.where(np.arange(10)[:, None] == 4, np.nan, documents), precision)
    with pytest.raises(DataError, match="expected some"):
        quantize(documents[:0], precision)


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="precision: got 'int4'"):
        quantize(made(2, 2), "int4")
    with pytest.raises(ConfigError, match="candidates: got 0"):
        quantize(made(2, 2), "binary-rescored", candidates=0)
