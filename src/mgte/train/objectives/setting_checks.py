"""Whether the numbers of an objective make sense, before anything is trained with them."""

from typing import assert_never

from mgte.errors import ConfigError
from mgte.train.objectives.config import (
    ContrastiveConfig,
    Distillation,
    EmbeddingConfig,
    EmbeddingDistillationConfig,
    MaskedLMConfig,
    ObjectiveConfig,
    RerankingConfig,
)


def check_settings(config: ObjectiveConfig) -> None:
    """Refuse numbers with which a loss is no number, or with which nothing is learned.

    Args:
        config: The objective.

    Raises:
        ConfigError: A temperature is not above 0, a factor or number is below 0, or all factors
            are 0.
    """
    match config:
        case MaskedLMConfig():
            _check_not_negative({"vocabulary_chunk": config.vocabulary_chunk})
        case ContrastiveConfig():
            _check_positive({"temperature": config.temperature})
        case EmbeddingConfig():
            _check_embedding(config)
        case RerankingConfig():
            _check_positive({"temperature": config.temperature})
            _check_not_negative({"random_negatives": config.random_negatives})
            _check_distillation(config.distillation)
            _check_factors(
                {
                    "label_weight": config.label_weight,
                    "distillation.weight": config.distillation.weight,
                }
            )
        case EmbeddingDistillationConfig():
            _check_positive({"temperature": config.temperature})
            _check_factors(
                {
                    "cosine_weight": config.cosine_weight,
                    "similarity_weight": config.similarity_weight,
                }
            )
        case _:
            assert_never(config)


def _check_embedding(config: EmbeddingConfig) -> None:
    temperatures = {
        "temperature": config.temperature,
        "sparse_temperature": config.sparse_temperature,
    }
    _check_positive(temperatures)
    _check_distillation(config.distillation)
    factors = {
        "sparse_weight": config.sparse_weight,
        "sparse_distillation_weight": config.sparse_distillation_weight,
        "distillation.weight": config.distillation.weight,
    }
    dims = {f"dim_weights.{place}": weight for place, weight in enumerate(config.dim_weights)}
    if dims:
        _check_factors(factors | dims)
    else:
        # Every width then has a factor of its own, which is not 0.
        _check_not_negative(factors)


def _check_distillation(config: Distillation) -> None:
    temperatures = {"distillation.teacher_temperature": config.teacher_temperature}
    if config.student_temperature is not None:
        temperatures["distillation.student_temperature"] = config.student_temperature
    _check_positive(temperatures)


def _check_positive(numbers: dict[str, float]) -> None:
    for name, number in numbers.items():
        if not number > 0:
            raise ConfigError(f"objective.{name}: got {number:g}, expected above 0")


def _check_not_negative(numbers: dict[str, float]) -> None:
    for name, number in numbers.items():
        if not number >= 0:
            raise ConfigError(f"objective.{name}: got {number:g}, expected at least 0")


def _check_factors(factors: dict[str, float]) -> None:
    _check_not_negative(factors)
    if not any(factors.values()):
        raise ConfigError(
            f"objective: got 0 for {', '.join(factors)}, expected one above 0: nothing would be "
            "learned"
        )
