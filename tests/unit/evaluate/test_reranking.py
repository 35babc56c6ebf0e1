"""Reranking of given candidates: metrics beside literal ones, variants, equal scores."""

import math

import numpy as np
import pytest
from tests.unit.evaluate.fake_encoders import HashEncoder, WordScorer
from tests.unit.evaluate.text_folders import write_jsonl

from mgte.config import from_dict
from mgte.errors import ConfigError, DataError
from mgte.evaluate.retrieval_config import HybridConfig, RetrievalConfig
from mgte.evaluate.subjects import Subject
from mgte.evaluate.tasks.reranking import RerankingConfig, RerankingTask, ranking_values
from mgte.evaluate.tasks.task import TaskContext
from mgte.evaluate.text_data import CandidateList

ROWS = [
    {"query": "cat dog", "document": ["cat", "saw axe drill", "rice"], "grade": 0},
    {"query": "saw axe", "document": ["hen", "cow", "axe saw"], "grade": 2},
    {"query": "soup corn", "document": ["corn bread", "file dog"], "grade": 1},
]


class FlatScorer(WordScorer):
    """Knows nothing."""

    def score(self, pairs) -> np.ndarray:
        return np.zeros(len(pairs), dtype=np.float32)


class NanScorer(WordScorer):
    def score(self, pairs) -> np.ndarray:
        return np.full(len(pairs), np.nan, dtype=np.float32)


def make_task(folder, **settings) -> RerankingTask:
    entry = {"name": "answers", "data": {"path": "rows.jsonl"}, "layout": "lists"} | settings
    return RerankingTask(from_dict(RerankingConfig, entry), folder)


@pytest.fixture
def folder(tmp_path):
    write_jsonl(tmp_path / "rows.jsonl", ROWS)
    return tmp_path


def literal(order_grades):
    """Metrics of the grades of a ranking."""
    hits = [place for place, grade in enumerate(order_grades, start=1) if grade > 0]
    gains = [g / math.log2(place + 1) for place, g in enumerate(order_grades[:10], start=1)]
    ideal = sorted(order_grades, reverse=True)[:10]
    best = sum(g / math.log2(place + 1) for place, g in enumerate(ideal, start=1))
    return {
        "map": sum((n + 1) / place for n, place in enumerate(hits)) / len(hits),
        "mrr_at_10": 1 / hits[0] if hits[0] <= 10 else 0.0,
        "ndcg_at_10": sum(gains) / best,
        "accuracy": float(order_grades[0] > 0),
    }


def test_metrics_are_the_literal_ones():
    random = np.random.default_rng(0)
    lists, scores = [], []
    for number in range(30):
        count = int(random.integers(2, 25))
        grades = random.integers(0, 3, count)
        grades[:2] = 0, 1
        documents = tuple(f"d{n}" for n in range(count))
        lists.append(
            CandidateList(
                item_id=str(number), query="q", documents=documents, grades=tuple(grades.tolist())
            )
        )
        scores.append(np.round(random.normal(size=count), 1))
    for item, values, found in zip(lists, scores, ranking_values(lists, scores), strict=True):
        order = sorted(range(len(values)), key=lambda place, v=values: (-v[place], place))
        assert found == pytest.approx(literal([item.grades[place] for place in order]))


def test_every_similarity_of_the_subject_is_a_variant(folder):
    subject = Subject(encoder=HashEncoder(), reranker=WordScorer())
    results = make_task(folder).run(subject, TaskContext())
    assert [result.variant for result in results] == ["dense", "sparse", "hybrid", "reranked"]
    assert len({result.dataset_hash for result in results}) == 1
    for result in results:
        assert result.main_metric == "map" and result.num_items == 3
        assert np.mean(list(result.per_item.values())) == pytest.approx(result.main)
        assert result.facts["num_candidates"] == 8 and result.facts["num_relevant"] == 3
    dense, *_, reranked = results
    assert dense.facts["num_texts"] == 3 + 8
    # Words that are shared: the first two queries are answered, the third is not.
    assert [reranked.per_item[str(n)] for n in (1, 2, 3)] == [1.0, 1.0, 0.5]
    worst = reranked.worst[0]
    assert (worst.text, worst.expected, worst.found) == ("soup corn", "file dog", "corn bread")


def test_dense_scores_are_products_of_query_and_document(folder):
    encoder = HashEncoder(has_sparse=False)
    (result,) = make_task(folder, main_metric="accuracy").run(
        Subject(encoder=encoder), TaskContext()
    )
    right = []
    for row in ROWS:
        query = encoder.encode([row["query"]], role="query").dense[0]
        documents = encoder.encode(row["document"], role="document").dense
        right.append(float(np.argmax(documents @ query) == row["grade"]))
    assert [result.per_item[str(n)] for n in (1, 2, 3)] == right


@pytest.mark.parametrize("scale", ["raw", "query"])
def test_hybrid_scores_are_dense_plus_weighted_sparse(folder, scale):
    encoder, weight = HashEncoder(), 0.7
    context = TaskContext(
        modes=("hybrid",),
        retrieval=RetrievalConfig(hybrid=HybridConfig(sparse_weight=weight, sparse_scale=scale)),
    )
    (result,) = make_task(folder).run(Subject(encoder=encoder), context)
    for number, row in enumerate(ROWS, start=1):
        query = encoder.encode([row["query"]], role="query", sparse=True)
        documents = encoder.encode(row["document"], role="document", sparse=True)
        sparse = query.sparse.take([0] * len(documents)).dot_rows(documents.sparse)
        if scale == "query":
            sparse = sparse / max(float(sparse.max()), 1e-9)
        scores = documents.dense @ query.dense[0] + weight * sparse
        place = 1 + int((scores > scores[row["grade"]]).sum())
        assert result.per_item[str(number)] == pytest.approx(1 / place)


def test_modes_of_the_run_choose_variants(folder):
    subject = Subject(encoder=HashEncoder(), reranker=WordScorer())
    results = make_task(folder).run(subject, TaskContext(modes=("bm25", "reranked", "dense")))
    assert [result.variant for result in results] == ["dense", "reranked"]
    (only,) = make_task(folder).run(Subject(reranker=WordScorer()), TaskContext())
    assert only.variant == "reranked" and only.main == results[1].main
    with pytest.raises(ConfigError, match=r"answers: got the modes bm25, expected .*: reranked"):
        make_task(folder).run(Subject(reranker=WordScorer()), TaskContext(modes=("bm25",)))


def test_a_model_that_knows_nothing_gains_nothing_from_the_order_of_the_file(tmp_path):
    rows = [
        {"query": f"q{n}", "document": [f"{n} right", *(f"{n} {i}" for i in range(4))], "grade": 0}
        for n in range(200)
    ]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    task = make_task(tmp_path, main_metric="accuracy")
    (result,) = task.run(Subject(reranker=FlatScorer()), TaskContext())
    assert 0.1 < result.main < 0.3


def test_candidates_may_stand_one_per_row(tmp_path, folder):
    flat = [
        {"query": row["query"], "document": text, "grade": int(place == row["grade"])}
        for row in ROWS
        for place, text in enumerate(row["document"])
    ]
    subject = Subject(encoder=HashEncoder())
    expected = make_task(folder).run(subject, TaskContext())
    write_jsonl(tmp_path / "flat.jsonl", flat)
    task = make_task(tmp_path, data={"path": "flat.jsonl"}, layout="rows")
    found = task.run(subject, TaskContext())
    assert [r.metrics for r in found] == [r.metrics for r in expected]
    assert found[0].dataset_hash == expected[0].dataset_hash


def test_scores_that_are_no_numbers_are_refused(folder):
    with pytest.raises(DataError, match="words: gave NaN"):
        make_task(folder).run(Subject(reranker=NanScorer()), TaskContext())
