"""Metrics equal their definitions."""

import math
import subprocess
import sys

import numpy as np
import pytest

from mgte.evaluate import mean_metrics, measure_rankings


def by_definition(ranking: list[str], grades: dict[str, int]) -> dict[str, float]:
    """The four metrics, term by term."""
    relevant = {doc_id for doc_id, grade in grades.items() if grade > 0}
    gains = [grades.get(doc_id, 0) for doc_id in ranking[:10]]
    dcg = sum(max(gain, 0) / math.log2(rank + 2) for rank, gain in enumerate(gains))
    best = sorted((grade for grade in grades.values() if grade > 0), reverse=True)[:10]
    ideal = sum(grade / math.log2(rank + 2) for rank, grade in enumerate(best))
    hits = [rank for rank, doc_id in enumerate(ranking, start=1) if doc_id in relevant]
    precisions = [(number + 1) / rank for number, rank in enumerate(hits)]
    return {
        "ndcg_at_10": dcg / ideal if ideal else 0.0,
        "recall_at_100": sum(rank <= 100 for rank in hits) / len(relevant) if relevant else 0.0,
        "mrr_at_10": 1 / hits[0] if hits and hits[0] <= 10 else 0.0,
        "map": sum(precisions) / len(relevant) if relevant else 0.0,
    }


def test_every_metric_equals_its_definition() -> None:
    random = np.random.default_rng(3)
    documents = [f"d{number:03}" for number in range(300)]
    qrels, rankings = {}, {}
    for number in range(40):
        judged = random.choice(documents, size=int(random.integers(1, 25)), replace=False)
        qrels[f"q{number}"] = {str(d): int(random.integers(0, 4)) for d in judged}
        found = random.permutation(documents)[: int(random.integers(1, 300))]
        rankings[f"q{number}"] = [str(d) for d in found]
    measured = measure_rankings(rankings, qrels)
    for query_id, grades in qrels.items():
        assert measured[query_id] == pytest.approx(by_definition(rankings[query_id], grades))


def test_a_query_that_found_nothing_counts_zero() -> None:
    qrels = {"a": {"x": 1}, "b": {"y": 1}, "c": {"y": 1}}
    measured = measure_rankings({"a": ["x"], "b": []}, qrels)
    assert set(measured) == {"a", "b", "c"}
    assert mean_metrics(measured)["ndcg_at_10"] == pytest.approx(1 / 3)


def test_metrics_load_no_torch() -> None:
    code = "import sys, mgte.evaluate.metrics; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
