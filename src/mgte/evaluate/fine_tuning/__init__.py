"""Fine-tuning of encoders on tasks of language understanding: GLUE, XTREME-R and their like.

Resolved on first use, so that configurations and metrics cost no torch.
"""

from typing import TYPE_CHECKING

from mgte.rooms import names_on_first_use

if TYPE_CHECKING:
    from mgte.evaluate.fine_tuning.averages import (
        GLUE_TASKS,
        XTREME_R_TASKS,
        average_result,
        benchmark_average,
    )
    from mgte.evaluate.fine_tuning.config import Setting, Source, Sweep, TestSet, Training
    from mgte.evaluate.fine_tuning.stages import TrainedStage, train_stage

_HOMES = {
    "GLUE_TASKS": "averages",
    "XTREME_R_TASKS": "averages",
    "average_result": "averages",
    "benchmark_average": "averages",
    "Setting": "config",
    "Source": "config",
    "Sweep": "config",
    "TestSet": "config",
    "Training": "config",
    "TrainedStage": "stages",
    "train_stage": "stages",
}


__getattr__ = names_on_first_use(__name__, _HOMES)

__all__ = [
    "GLUE_TASKS",
    "XTREME_R_TASKS",
    "Setting",
    "Source",
    "Sweep",
    "TestSet",
    "TrainedStage",
    "Training",
    "average_result",
    "benchmark_average",
    "train_stage",
]
