"""BM25 equals its formula, and the published figures."""

import gc
import math
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from mgte.evaluate import bm25, bm25_rankings, make_collection, mean_metrics, measure_rankings
from mgte.evaluate import read_collection as read
from mgte.evaluate.bm25 import words_of
from mgte.text import Document, Query


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The Moon's 2 tides_x!", ["the", "moon", "s", "2", "tides_x"]),
        ("战国无双3的abc", ["战国", "国无", "无双", "3", "的", "abc"]),
        ("水", ["水"]),
        ("とても good", ["とて", "ても", "good"]),
        ("", []),
    ],
)
def test_words(text, words) -> None:
    assert list(words_of(text)) == words


def test_scores_equal_the_formula() -> None:
    texts = ["sea moon moon tide", "bread sea", "a long road to the sea and to the moon", "map"]
    queries = ["moon sea moon", "road", "nothing there", "unknown"]
    collection = make_collection(
        [Document(doc_id=f"d{i}", text=text) for i, text in enumerate(texts)],
        [Query(query_id=f"q{i}", text=text) for i, text in enumerate(queries)],
        {f"q{i}": {"d0": 1} for i in range(4)},
        name="made",
    )
    words = [document.text.split() for document in collection.documents]
    mean_length = np.mean([len(w) for w in words])
    rankings = bm25_rankings(collection, 10)
    for query, ranking in zip(queries, rankings, strict=True):
        expected = []
        for document in words:
            counts, score = Counter(document), 0.0
            for word in query.split():
                num_holding = sum(word in other for other in words)
                if not num_holding:
                    continue
                idf = math.log(1 + (len(words) - num_holding + 0.5) / (num_holding + 0.5))
                tf = counts[word]
                score += idf * tf / (tf + 0.9 * (1 - 0.4 + 0.4 * len(document) / mean_length))
            expected.append(score)
        order = [row for row in np.argsort(-np.array(expected), kind="stable") if expected[row] > 0]
        assert ranking.rows.tolist() == order
        np.testing.assert_allclose(ranking.scores, np.array(expected)[order], rtol=1e-5)


def test_documents_without_words_are_never_found() -> None:
    collection = make_collection(
        [Document(doc_id="d", text="!")], [Query(query_id="q", text="a")], {"q": {"d": 1}}, name="x"
    )
    assert len(bm25_rankings(collection, 5)[0]) == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [("scifact_beir", 0.662), ("ir_cranfield", 0.328), ("ir_cisi", 0.296), ("ir_cacm", 0.371)],
)
def test_published_figures(shared, name, expected) -> None:
    if not (shared / "data" / name).is_dir():
        pytest.skip(f"no {name} in the shared folder")
    collection = read(shared / "data" / name)
    rankings = bm25_rankings(collection, 1000)
    by_query = {
        query.query_id: [collection.documents[row].doc_id for row in ranking.rows]
        for query, ranking in zip(collection.queries, rankings, strict=True)
    }
    measured = mean_metrics(measure_rankings(by_query, collection.qrels))
    assert measured["ndcg_at_10"] == pytest.approx(expected, abs=0.002)


def test_a_collection_is_indexed_once(beir_folder, monkeypatch) -> None:
    made, num_before = [], len(bm25._INDEXES)
    package = bm25._bm25s()

    class Counting(package.BM25):
        def __init__(self, **options):
            made.append(1)
            super().__init__(**options)

    monkeypatch.setattr(bm25, "_bm25s", lambda: SimpleNamespace(BM25=Counting))
    collection = read(beir_folder)
    first = bm25_rankings(collection, 2)
    again = bm25_rankings(collection, 3)
    assert len(made) == 1
    for ranking, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(ranking.rows, other.rows[:2])
    other = bm25_rankings(read(beir_folder), 2)
    assert len(made) == 2
    assert [ranking.rows.tolist() for ranking in other] == [r.rows.tolist() for r in first]
    del collection, first, again, other
    gc.collect()
    assert len(bm25._INDEXES) <= num_before
