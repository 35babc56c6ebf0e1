"""Our subjects behind the protocols of mteb 2, and its results as ours.

Resolved on first use: neither torch nor mteb is loaded before something needs it.
"""

from typing import TYPE_CHECKING

from mgte.rooms import names_on_first_use

if TYPE_CHECKING:
    from mgte.evaluate.mteb.adapter import MtebModel, cross_encoder_of, mteb_model
    from mgte.evaluate.mteb.averages import benchmark_averages
    from mgte.evaluate.mteb.cross_encoder import MtebCrossEncoder
    from mgte.evaluate.mteb.encoder import MtebEncoder
    from mgte.evaluate.mteb.model_meta import ModelFacts, make_model_meta
    from mgte.evaluate.mteb.mteb_calls import import_mteb
    from mgte.evaluate.mteb.results import item_counts, kind_of, task_results_of
    from mgte.evaluate.mteb.search import MtebSearch, MtebVariant
    from mgte.evaluate.mteb.task_choice import benchmark_tasks, find_mteb_task

_HOMES = {
    "MtebCrossEncoder": "cross_encoder",
    "MtebEncoder": "encoder",
    "MtebModel": "adapter",
    "MtebSearch": "search",
    "MtebVariant": "search",
    "ModelFacts": "model_meta",
    "benchmark_averages": "averages",
    "benchmark_tasks": "task_choice",
    "cross_encoder_of": "adapter",
    "find_mteb_task": "task_choice",
    "import_mteb": "mteb_calls",
    "item_counts": "results",
    "kind_of": "results",
    "make_model_meta": "model_meta",
    "mteb_model": "adapter",
    "task_results_of": "results",
}


__getattr__ = names_on_first_use(__name__, _HOMES)

__all__ = [
    "ModelFacts",
    "MtebCrossEncoder",
    "MtebEncoder",
    "MtebModel",
    "MtebSearch",
    "MtebVariant",
    "benchmark_averages",
    "benchmark_tasks",
    "cross_encoder_of",
    "find_mteb_task",
    "import_mteb",
    "item_counts",
    "kind_of",
    "make_model_meta",
    "mteb_model",
    "task_results_of",
]
