"""Objectives: what a stage optimises."""

from mgte.train.objectives.build import build_objective
from mgte.train.objectives.config import (
    ContrastiveConfig,
    Distillation,
    EmbeddingConfig,
    EmbeddingDistillationConfig,
    InfoNCEForm,
    MaskedLMConfig,
    NegativeFilter,
    ObjectiveConfig,
    RerankingConfig,
)
from mgte.train.objectives.model_checks import check_model
from mgte.train.objectives.objective import Objective, Parallel, StepContext

__all__ = [
    "ContrastiveConfig",
    "Distillation",
    "EmbeddingConfig",
    "EmbeddingDistillationConfig",
    "InfoNCEForm",
    "MaskedLMConfig",
    "NegativeFilter",
    "Objective",
    "ObjectiveConfig",
    "Parallel",
    "RerankingConfig",
    "StepContext",
    "build_objective",
    "check_model",
]
