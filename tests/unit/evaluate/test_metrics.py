"""Metrics equal their definitions."""

import math
import subprocess
import sys

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from mgte.evaluate import METRICS, mean_metrics, measure_rankings
from mgte.search import rank_rows


def ndcg(ranking: list[str], grades: dict[str, int], depth: int) -> float:
    gains = [grades.get(doc_id, 0) for doc_id in ranking[:depth]]
    dcg = sum(max(gain, 0) / math.log2(rank + 2) for rank, gain in enumerate(gains))
    best = sorted((grade for grade in grades.values() if grade > 0), reverse=True)[:depth]
    ideal = sum(grade / math.log2(rank + 2) for rank, grade in enumerate(best))
    return dcg / ideal if ideal else 0.0


def by_definition(ranking: list[str], grades: dict[str, int]) -> dict[str, float]:
    """All metrics, term by term."""
    relevant = {doc_id for doc_id, grade in grades.items() if grade > 0}
    hits = [rank for rank, doc_id in enumerate(ranking, start=1) if doc_id in relevant]
    precisions = {rank: (number + 1) / rank for number, rank in enumerate(hits)}
    count = max(len(relevant), 1)
    values = {f"ndcg_at_{k}": ndcg(ranking, grades, k) for k in (1, 3, 5, 10, 20, 100)}
    values |= {
        f"recall_at_{k}": sum(rank <= k for rank in hits) / count for k in (1, 5, 10, 20, 100, 1000)
    }
    values |= {f"precision_at_{k}": sum(rank <= k for rank in hits) / k for k in (1, 5, 10, 20)}
    values |= {f"mrr_at_{k}": 1 / hits[0] if hits and hits[0] <= k else 0.0 for k in (10, 100)}
    values["map_at_100"] = sum(p for rank, p in precisions.items() if rank <= 100) / count
    return values | {"map": sum(precisions.values()) / count}


def test_every_metric_equals_its_definition() -> None:
    random = np.random.default_rng(3)
    documents = [f"d{number:03}" for number in range(300)]
    qrels, rankings = {}, {}
    for number in range(40):
        judged = random.choice(documents, size=int(random.integers(1, 25)), replace=False)
        qrels[f"q{number}"] = {str(d): int(random.integers(0, 4)) for d in judged}
        found = random.permutation(documents)[: int(random.integers(1, 300))]
        rankings[f"q{number}"] = [str(d) for d in found]
    # The relevant document stands at each rank around the depths.
    for rank in (1, 2, 9, 10, 11, 19, 20, 21, 99, 100, 101, 300):
        qrels[f"at{rank}"] = {"x": 1}
        rankings[f"at{rank}"] = [*documents[: rank - 1], "x"]
    measured = measure_rankings(rankings, qrels)
    for query_id, grades in qrels.items():
        assert measured[query_id] == pytest.approx(by_definition(rankings[query_id], grades))
    assert set(METRICS) == set(measured["q0"])


# Few scores and few documents: most are tied.
SCORES = st.dictionaries(
    st.text("abcé字", min_size=1, max_size=3), st.sampled_from([0.0, 0.5, 0.25, 1.0]), min_size=1
)
GRADES = st.dictionaries(st.text("abcé字", min_size=1, max_size=3), st.integers(0, 3), min_size=1)


@given(scores=SCORES, grades=GRADES)
def test_ties_are_broken_as_pytrec_eval_breaks_them(scores, grades) -> None:
    # A collection's documents stand by falling id, and rankings break ties by their rows.
    doc_ids = sorted(scores, reverse=True)
    values = np.array([scores[doc_id] for doc_id in doc_ids], dtype=np.float32)
    ranking = rank_rows(np.arange(len(doc_ids)), values, len(doc_ids))
    ours = measure_rankings({"q": [doc_ids[row] for row in ranking.rows]}, {"q": grades})["q"]
    measures = {"ndcg_cut.1,3,5,10,20,100", "recall.1,5,10,20,100,1000", "P.1,5,10,20", "map"}
    measures |= {"map_cut.100", "recip_rank"}
    theirs = pytrec_eval.RelevanceEvaluator({"q": grades}, measures).evaluate({"q": scores})["q"]
    names = {"ndcg_at": "ndcg_cut", "recall_at": "recall", "precision_at": "P", "map_at": "map_cut"}
    for name, value in ours.items():
        prefix, _, depth = name.rpartition("_")
        if prefix == "mrr_at":
            expected = theirs["recip_rank"] if theirs["recip_rank"] > 0.9 / int(depth) else 0.0
        else:
            expected = theirs[f"{names[prefix]}_{depth}" if prefix in names else name]
        assert value == pytest.approx(expected, abs=1e-12), name


def test_a_query_that_found_nothing_counts_zero() -> None:
    qrels = {"a": {"x": 1}, "b": {"y": 1}, "c": {"y": 1}}
    measured = measure_rankings({"a": ["x"], "b": []}, qrels)
    assert set(measured) == {"a", "b", "c"}
    assert mean_metrics(measured)["ndcg_at_10"] == pytest.approx(1 / 3)


def test_metrics_load_no_torch() -> None:
    code = "import sys, mgte.evaluate.metrics; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
