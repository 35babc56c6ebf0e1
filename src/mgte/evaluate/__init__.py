"""Measuring models on retrieval collections.

Resolved on first use, so that metrics cost no torch. The room may be called, `mgte.evaluate(...)`:
whoever imports a room makes it the attribute of that name, in the place of a function.
"""

from typing import TYPE_CHECKING

from mgte.rooms import make_callable, names_on_first_use

if TYPE_CHECKING:
    from mgte.evaluate.bm25 import bm25_rankings
    from mgte.evaluate.collection import Collection, make_collection, read_collection
    from mgte.evaluate.metrics import METRICS, mean_metrics, measure_rankings
    from mgte.evaluate.rankings import HybridConfig, hybrid_ranking, rerank
    from mgte.evaluate.result import ModeResult, RetrievalResult
    from mgte.evaluate.retrieval import evaluate, evaluate_retrieval
    from mgte.evaluate.searches import MODES, Mode, RetrievalConfig
    from mgte.evaluate.training_evaluator import RetrievalEvaluator

_HOMES = {
    "bm25_rankings": "bm25",
    "Collection": "collection",
    "make_collection": "collection",
    "read_collection": "collection",
    "METRICS": "metrics",
    "mean_metrics": "metrics",
    "measure_rankings": "metrics",
    "HybridConfig": "rankings",
    "hybrid_ranking": "rankings",
    "rerank": "rankings",
    "ModeResult": "result",
    "RetrievalResult": "result",
    "MODES": "searches",
    "Mode": "searches",
    "RetrievalConfig": "searches",
    "RetrievalEvaluator": "training_evaluator",
    "evaluate": "retrieval",
    "evaluate_retrieval": "retrieval",
}


__getattr__ = names_on_first_use(__name__, _HOMES)
make_callable(__name__, "evaluate")

__all__ = [
    "METRICS",
    "MODES",
    "Collection",
    "HybridConfig",
    "Mode",
    "ModeResult",
    "RetrievalConfig",
    "RetrievalEvaluator",
    "RetrievalResult",
    "bm25_rankings",
    "evaluate",
    "evaluate_retrieval",
    "hybrid_ranking",
    "make_collection",
    "mean_metrics",
    "measure_rankings",
    "read_collection",
    "rerank",
]
