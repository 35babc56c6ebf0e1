"""Training: recipes, objectives, the engine, checkpoints.

Resolved on first use. The room may be called, `mgte.train(...)`: whoever imports a room makes it
the attribute of that name, in the place of a function.
"""

from typing import TYPE_CHECKING

from mgte.rooms import make_callable, names_on_first_use

if TYPE_CHECKING:
    from mgte.train.checks import check_recipe
    from mgte.train.curves import plot_curves
    from mgte.train.dry_run import describe_report
    from mgte.train.estimate import ASSUMED_EFFICIENCY
    from mgte.train.host_memory import HeapTrimmer, heap_trim
    from mgte.train.metrics import (
        ConsoleSink,
        TensorBoardSink,
        measurements,
        read_log,
        spoken_count,
        spoken_time,
    )
    from mgte.train.objectives.config import EmbeddingConfig
    from mgte.train.optimizer import OptimizerConfig, build_optimizer
    from mgte.train.preparation import prepare_datasets
    from mgte.train.recipe import EncoderShape, Recipe, Stage
    from mgte.train.run import RunResult, read_recipe, run_recipe, train
    from mgte.train.run_folder import RunFolder
    from mgte.train.run_options import RunOptions
    from mgte.train.schedule import ScheduleConfig, lr_factor
    from mgte.train.stage_inputs import LookAhead, look_ahead
    from mgte.train.stage_parts import Evaluator, Sink
    from mgte.train.teacher import load_teacher
    from mgte.train.tokenizer_preparation import RunTokenizer, prepare_tokenizer
    from mgte.train.world import World, join_world, leave_world

_HOMES = {
    "check_recipe": "checks",
    "HeapTrimmer": "host_memory",
    "heap_trim": "host_memory",
    "OptimizerConfig": "optimizer",
    "build_optimizer": "optimizer",
    "ScheduleConfig": "schedule",
    "lr_factor": "schedule",
    "RunOptions": "run_options",
    "prepare_datasets": "preparation",
    "prepare_tokenizer": "tokenizer_preparation",
    "EncoderShape": "recipe",
    "Recipe": "recipe",
    "Stage": "recipe",
    "RunResult": "run",
    "read_recipe": "run",
    "run_recipe": "run",
    "train": "run",
    "Evaluator": "stage_parts",
    "Sink": "stage_parts",
    "World": "world",
    "join_world": "world",
    "leave_world": "world",
    "ASSUMED_EFFICIENCY": "estimate",
    "ConsoleSink": "metrics",
    "EmbeddingConfig": "objectives.config",
    "LookAhead": "stage_inputs",
    "RunFolder": "run_folder",
    "TensorBoardSink": "metrics",
    "describe_report": "dry_run",
    "load_teacher": "teacher",
    "look_ahead": "stage_inputs",
    "RunTokenizer": "tokenizer_preparation",
    "measurements": "metrics",
    "plot_curves": "curves",
    "read_log": "metrics",
    "spoken_count": "metrics",
    "spoken_time": "metrics",
}


__getattr__ = names_on_first_use(__name__, _HOMES)
make_callable(__name__, "train")

__all__ = [
    "ASSUMED_EFFICIENCY",
    "ConsoleSink",
    "EmbeddingConfig",
    "EncoderShape",
    "Evaluator",
    "HeapTrimmer",
    "LookAhead",
    "OptimizerConfig",
    "Recipe",
    "RunFolder",
    "RunOptions",
    "RunResult",
    "RunTokenizer",
    "ScheduleConfig",
    "Sink",
    "Stage",
    "TensorBoardSink",
    "World",
    "build_optimizer",
    "check_recipe",
    "describe_report",
    "heap_trim",
    "join_world",
    "leave_world",
    "load_teacher",
    "look_ahead",
    "lr_factor",
    "measurements",
    "plot_curves",
    "prepare_datasets",
    "prepare_tokenizer",
    "read_log",
    "read_recipe",
    "run_recipe",
    "spoken_count",
    "spoken_time",
    "train",
]
