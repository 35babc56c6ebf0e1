"""Retrieval metrics as trec_eval computes them, of one ranking per query. Loads no torch."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from mgte.errors import BackendUnavailableError
from mgte.text import Qrels

MAIN_METRIC = "ndcg_at_10"
# Our names to trec_eval's measures, and how many documents of a ranking count.
_MEASURES: dict[str, tuple[str, int | None]] = {
    MAIN_METRIC: ("ndcg_cut_10", None),
    "recall_at_100": ("recall_100", None),
    "mrr_at_10": ("recip_rank", 10),
    "map": ("map", None),
}
METRICS = tuple(_MEASURES)


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
    found = {query_id: doc_ids for query_id, doc_ids in rankings.items() if len(doc_ids)}
    values = {query_id: dict.fromkeys(METRICS, 0.0) for query_id in qrels}
    for limit in {limit for _, limit in _MEASURES.values()}:
        names = {name: measure for name, (measure, at) in _MEASURES.items() if at == limit}
        runs = {query_id: _as_run(doc_ids[:limit]) for query_id, doc_ids in found.items()}
        evaluator = _pytrec_eval().RelevanceEvaluator(qrels, _requested(names.values()))
        for query_id, measured in evaluator.evaluate(runs).items():
            for name, measure in names.items():
                values[query_id][name] = float(measured[measure])
    return values


def mean_metrics(per_query: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Mean of every metric over the queries."""
    count = max(len(per_query), 1)
    return {name: sum(values[name] for values in per_query.values()) / count for name in METRICS}


def _as_run(doc_ids: Sequence[str]) -> dict[str, float]:
    """Falling whole numbers instead of scores: what is measured is the order that we show."""
    return {doc_id: float(len(doc_ids) - rank) for rank, doc_id in enumerate(doc_ids)}


def _requested(measures: Any) -> set[str]:
    """`ndcg_cut_10` is asked for as `ndcg_cut.10`."""
    return {
        f"{name.rpartition('_')[0]}.{name.rpartition('_')[2]}" if name[-1].isdigit() else name
        for name in measures
    }


def _pytrec_eval() -> Any:
    try:
        return importlib.import_module("pytrec_eval")
    except ImportError as error:
        raise BackendUnavailableError(
            "retrieval metrics need the package pytrec_eval",
            hint="pip install 'mgte[eval]'",
        ) from error
