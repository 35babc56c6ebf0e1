"""Whether a model is of the kind that an objective needs."""

from typing import assert_never

from torch import nn

from mgte.errors import ConfigError
from mgte.model import EmbeddingModel, MaskedLM, RerankerModel
from mgte.train.objectives.config import (
    ContrastiveConfig,
    EmbeddingConfig,
    EmbeddingDistillationConfig,
    MaskedLMConfig,
    ObjectiveConfig,
    RerankingConfig,
)


def check_model(config: ObjectiveConfig, model: nn.Module) -> None:
    """Refuse a model that the objective cannot train.

    Args:
        config: The objective.
        model: The model.

    Raises:
        ConfigError: The model has the wrong head, or the objective asks for more than its width.
    """
    match config:
        case MaskedLMConfig():
            masked_lm_of(model)
        case RerankingConfig():
            reranker_of(model)
        case ContrastiveConfig():
            embedding_model_of(model, config.kind)
        case EmbeddingConfig():
            found = embedding_model_of(model, config.kind)
            if needs_sparse_head(config) and not found.has_sparse_head:
                raise ConfigError(
                    "objective embedding: got a model without a sparse head, expected a token "
                    "classification head with one label",
                    hint="set sparse_weight: 0 to train dense vectors only",
                )
            widths_of(config.dims, config.dim_step, found.config.hidden_size)
        case EmbeddingDistillationConfig():
            found = embedding_model_of(model, config.kind)
            widths_of(config.dims, found.config.hidden_size, found.config.hidden_size)
        case _:
            assert_never(config)


def needs_sparse_head(config: EmbeddingConfig) -> bool:
    """Whether any term reads sparse scores."""
    return config.sparse_weight > 0 or config.sparse_distillation_weight > 0


def masked_lm_of(model: nn.Module) -> MaskedLM:
    """The model, if it predicts tokens.

    Args:
        model: Any model.

    Returns:
        The same model.

    Raises:
        ConfigError: It has another head.
    """
    if not isinstance(model, MaskedLM):
        raise _wrong("masked_lm", model, "a masked-LM head")
    return model


def reranker_of(model: nn.Module) -> RerankerModel:
    """The model, if it gives one score per pair.

    Args:
        model: Any model.

    Returns:
        The same model.

    Raises:
        ConfigError: It has another head, or several labels.
    """
    if not isinstance(model, RerankerModel):
        raise _wrong("reranking", model, "a sequence classification head with one label")
    if model.head_config.num_labels != 1:
        raise ConfigError(
            f"objective reranking: got a head with {model.head_config.num_labels} labels, expected "
            "one"
        )
    return model


def embedding_model_of(model: nn.Module, kind: str) -> EmbeddingModel:
    """The model, if it gives vectors.

    Args:
        model: Any model.
        kind: Kind of the objective, for the message.

    Returns:
        The same model.

    Raises:
        ConfigError: It has another head.
    """
    if not isinstance(model, EmbeddingModel):
        raise _wrong(kind, model, "an embedding model (no head, or a token-weight head)")
    return model


def widths_of(dims: tuple[int, ...], step: int, width: int) -> tuple[int, ...]:
    """Widths of elastic vectors.

    Args:
        dims: Widths as configured; empty means multiples of `step`, and always the full width.
        step: Distance of two widths.
        width: The full width.

    Returns:
        Widths, ascending unless configured otherwise.

    Raises:
        ConfigError: A width is below 1 or above the model's.
    """
    if not dims:
        if step < 1:
            raise ConfigError(f"objective.dim_step: got {step}, expected at least 1")
        return (*range(step, width, step), width)
    wrong = [dim for dim in dims if not 1 <= dim <= width]
    if wrong:
        raise ConfigError(
            f"objective.dims: got {wrong[0]}, expected 1 to the model's width {width}"
        )
    return dims


def _wrong(kind: str, model: nn.Module, expected: str) -> ConfigError:
    return ConfigError(
        f"objective {kind}: got a {type(model).__name__}, expected a model with {expected}"
        if not expected.startswith("an ")
        else f"objective {kind}: got a {type(model).__name__}, expected {expected}"
    )
