"""Contrastive objectives: dense vectors alone, and elastic dense vectors with sparse weights."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mgte.config import to_dict
from mgte.data import Batch, ContrastiveBatch
from mgte.errors import ConfigError
from mgte.losses import LossSum
from mgte.model import EmbeddingModel, EmbeddingOutput
from mgte.train.grad_cache import backward_in_chunks
from mgte.train.objectives.chunks import (
    add_terms,
    encode_chunk,
    pack_chunk,
    plan_chunks,
    scope_of,
)
from mgte.train.objectives.config import ContrastiveConfig, EmbeddingConfig
from mgte.train.objectives.model_checks import check_model, embedding_model_of, needs_sparse_head
from mgte.train.objectives.objective import StepContext
from mgte.train.objectives.outputs_in_order import dense_in_order, sparse_in_order
from mgte.train.objectives.pair_competition import compete
from mgte.train.objectives.pair_terms import PairOutputs, pair_terms
from mgte.train.world import World


class ContrastiveObjective:
    """InfoNCE on dense vectors. Reports loss, accuracy, and the share of filtered negatives.

    Args:
        config: The objective.
    """

    def __init__(self, config: ContrastiveConfig) -> None:
        self._config = config

    def accumulate(
        self, model: nn.Module, batch: Batch, context: StepContext
    ) -> Mapping[str, LossSum]:
        """Add the gradient of the loss over this share; see `Objective`."""
        config = self._config
        embedder = embedding_model_of(model, config.kind)
        # The same loss at one width, without a sparse term.
        at_full_width = EmbeddingConfig(
            temperature=config.temperature,
            sparse_weight=0.0,
            dims=(embedder.config.hidden_size,),
            form=config.form,
            filter=config.filter,
            gather=config.gather,
        )
        terms = dict(_accumulate(at_full_width, embedder, batch, context))
        del terms["loss_dense"]
        return terms

    def describe(self) -> dict[str, Any]:
        """The objective's settings."""
        facts: dict[str, Any] = to_dict(self._config)
        return facts


class EmbeddingObjective:
    """Elastic dense vectors and sparse weights, one pass of the encoder for both.

    Reports every term of the loss, accuracy of dense and sparse scores, mean number of sparse
    terms, and the share of filtered negatives.

    Args:
        config: The objective.

    Raises:
        ConfigError: There are not as many weights as widths, or the kind of distillation needs raw
            scores.
    """

    def __init__(self, config: EmbeddingConfig) -> None:
        if config.dim_weights and len(config.dim_weights) != len(config.dims):
            raise ConfigError(
                f"objective.dim_weights: got {len(config.dim_weights)} weights for "
                f"{len(config.dims)} dims, expected one each"
            )
        is_distilled = config.distillation.weight > 0 or config.sparse_distillation_weight > 0
        if is_distilled and config.distillation.kind == "mse":
            raise ConfigError(
                "objective.distillation.kind: got 'mse', expected 'kl' or 'margin_mse': cosines "
                "are no teacher's raw scores"
            )
        self._config = config

    def accumulate(
        self, model: nn.Module, batch: Batch, context: StepContext
    ) -> Mapping[str, LossSum]:
        """Add the gradient of the loss over this share; see `Objective`."""
        check_model(self._config, model)
        embedder = embedding_model_of(model, self._config.kind)
        return _accumulate(self._config, embedder, batch, context)

    def describe(self) -> dict[str, Any]:
        """The objective's settings."""
        facts: dict[str, Any] = to_dict(self._config)
        return facts


def _accumulate(
    config: EmbeddingConfig, model: EmbeddingModel, batch: Batch, context: StepContext
) -> dict[str, LossSum]:
    assert isinstance(batch, ContrastiveBatch), "the loader gives what the objective asks for"
    device = context.world.device
    is_sparse = needs_sparse_head(config)
    # Queries and documents travel together: fewer passes, and no idle end of either.
    sequences = [*batch.queries, *batch.documents]
    chunks = plan_chunks([len(sequence) for sequence in sequences], context)
    competition = compete(batch, context.world if config.gather else World(device=device))

    def encode(number: int) -> EmbeddingOutput:
        packed = pack_chunk(sequences, chunks[number], device)
        return encode_chunk(model, packed, context, dense=True, sparse=is_sparse)

    def loss(outputs: Sequence[EmbeddingOutput]) -> tuple[Tensor, dict[str, LossSum]]:
        # A share without rows still takes part in what the others gather.
        no_rows = torch.zeros(0, model.config.hidden_size, device=device, requires_grad=True)
        no_terms = torch.zeros(0, device=device, requires_grad=True)
        gathered = PairOutputs(
            dense=dense_in_order(outputs, chunks, no_rows),
            sparse=sparse_in_order(outputs, chunks, no_terms) if is_sparse else None,
        )
        terms = pair_terms(config, gathered, batch, competition)
        return terms["loss"].total, add_terms({}, terms)

    return backward_in_chunks(encode, len(chunks), loss, scope=scope_of(context), device=device)
