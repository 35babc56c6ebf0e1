"""build_objective: from a config to the objective that it names."""

from typing import assert_never

from torch import Tensor

from mgte.train.objectives.config import (
    ContrastiveConfig,
    EmbeddingConfig,
    EmbeddingDistillationConfig,
    MaskedLMConfig,
    ObjectiveConfig,
    RerankingConfig,
)
from mgte.train.objectives.contrastive import ContrastiveObjective, EmbeddingObjective
from mgte.train.objectives.embedding_distillation import EmbeddingDistillationObjective
from mgte.train.objectives.masked_lm import MaskedLMObjective
from mgte.train.objectives.objective import Objective
from mgte.train.objectives.reranking import RerankingObjective
from mgte.train.objectives.setting_checks import check_settings


def build_objective(config: ObjectiveConfig, *, projection: Tensor | None = None) -> Objective:
    """The objective of a config.

    Args:
        config: What is optimised.
        projection: For `embedding_distillation`: from the teacher's width to the student's
            (`mgte.losses.principal_projection`); None where they are equal.

    Returns:
        The objective.

    Raises:
        ConfigError: Values of the config make no sense, or contradict each other.
    """
    check_settings(config)
    match config:
        case MaskedLMConfig():
            return MaskedLMObjective(config)
        case ContrastiveConfig():
            return ContrastiveObjective(config)
        case EmbeddingConfig():
            return EmbeddingObjective(config)
        case RerankingConfig():
            return RerankingObjective(config)
        case EmbeddingDistillationConfig():
            return EmbeddingDistillationObjective(config, projection)
        case _:
            assert_never(config)
