"""Retrieval metrics as trec_eval computes them, of one ranking per query. Loads no torch."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from mgte.errors import BackendUnavailableError
from mgte.text import Qrels

MAIN_METRIC = "ndcg_at_10"
# Prefix of our names, trec_eval's measure, and the depths at which it is asked for.
_AT_DEPTHS = (
    ("ndcg_at", "ndcg_cut", (10, 1, 3, 5, 20, 100)),
    ("recall_at", "recall", (100, 1, 5, 10, 20, 1000)),
    ("precision_at", "P", (1, 5, 10, 20)),
    ("map_at", "map_cut", (100,)),
)
# Our names to trec_eval's measures; the main one stands first.
_MEASURES = {
    f"{name}_{depth}": f"{measure}_{depth}"
    for name, measure, depths in _AT_DEPTHS
    for depth in depths
} | {"map": "map"}
# trec_eval knows the reciprocal rank at any depth only.
_RECIPROCAL_RANKS = {"mrr_at_10": 10, "mrr_at_100": 100}
METRICS = (*_MEASURES, *_RECIPROCAL_RANKS)


def measure_rankings(
    rankings: Mapping[str, Sequence[str]], qrels: Qrels
) -> dict[str, dict[str, float]]:
    """Metrics of every judged query.

    Args:
        rankings: Query id to document ids, best first. A judged query that is missing or found
            nothing counts 0.
        qrels: Query id to document id to grade.

    Returns:
        Query id to metric to value, for every query of `qrels`.

    Raises:
        BackendUnavailableError: pytrec_eval is not installed.
    """
    runs = {query_id: _as_run(doc_ids) for query_id, doc_ids in rankings.items() if len(doc_ids)}
    requested = {f"{measure}.{_joined(depths)}" for _, measure, depths in _AT_DEPTHS}
    evaluator = _pytrec_eval().RelevanceEvaluator(qrels, requested | {"map", "recip_rank"})
    measured = evaluator.evaluate(runs)
    return {
        query_id: _named(measured[query_id])
        if query_id in measured
        else dict.fromkeys(METRICS, 0.0)
        for query_id in qrels
    }


def mean_metrics(per_query: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Mean of every metric over the queries.

    Args:
        per_query: Query id to metric to value, the same metrics for every query.

    Returns:
        Metric to mean; without queries, 0 for each of `METRICS`.
    """
    if not per_query:
        return dict.fromkeys(METRICS, 0.0)
    rows = list(per_query.values())
    return {name: sum(values[name] for values in rows) / len(rows) for name in rows[0]}


def _as_run(doc_ids: Sequence[str]) -> dict[str, float]:
    """Falling whole numbers instead of scores: what is measured is the order that we show."""
    return {doc_id: float(len(doc_ids) - rank) for rank, doc_id in enumerate(doc_ids)}


def _named(measured: Mapping[str, float]) -> dict[str, float]:
    values = {name: float(measured[measure]) for name, measure in _MEASURES.items()}
    rank = 1.0 / measured["recip_rank"] if measured["recip_rank"] else float("inf")
    for name, depth in _RECIPROCAL_RANKS.items():
        # Half a rank of room for rounding.
        values[name] = float(measured["recip_rank"]) if rank < depth + 0.5 else 0.0
    return values


def _joined(depths: Sequence[int]) -> str:
    return ",".join(str(depth) for depth in sorted(depths))


def _pytrec_eval() -> Any:
    try:
        return importlib.import_module("pytrec_eval")
    except ImportError as error:
        raise BackendUnavailableError(
            "retrieval metrics need the package pytrec_eval",
            hint="pip install 'mgte[eval]'",
        ) from error
