"""Masked language modelling: scores at masked positions only, chunk by chunk."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mgte.config import to_dict
from mgte.data import Batch, MaskedBatch
from mgte.losses import LossSum, vocabulary_cross_entropy
from mgte.model import MaskedLM
from mgte.train.objectives.chunks import (
    Chunk,
    add_terms,
    autocast,
    backward_per_chunk,
    pack_chunk,
    plan_chunks,
)
from mgte.train.objectives.config import MaskedLMConfig
from mgte.train.objectives.model_checks import masked_lm_of
from mgte.train.objectives.objective import StepContext


class MaskedLMObjective:
    """Predicts masked tokens. Reports loss and accuracy per masked token.

    Args:
        config: The objective.
    """

    def __init__(self, config: MaskedLMConfig) -> None:
        self._config = config

    def accumulate(
        self, model: nn.Module, batch: Batch, context: StepContext
    ) -> Mapping[str, LossSum]:
        """Add the gradient of the loss over this share; see `Objective`."""
        assert isinstance(batch, MaskedBatch), "the loader gives what the objective asks for"
        masked_lm = masked_lm_of(model)
        # Sequences without a masked token have no loss.
        used = [number for number, places in enumerate(batch.positions) if len(places)]
        chunks = [
            [used[index] for index in chunk]
            for chunk in plan_chunks([len(batch.sequences[number]) for number in used], context)
        ]
        if not chunks and context.is_last:
            # Sharded gradients of earlier batches travel in the step's last backward pass, which
            # there must be, even if nothing of the last batch is masked.
            chunks = [[]]

        def step(chunk: Chunk) -> tuple[Tensor, dict[str, LossSum]]:
            return self._step(masked_lm, batch, chunk, context)

        nothing = LossSum(torch.zeros((), device=context.world.device), 0)
        terms = backward_per_chunk(chunks, step, context)
        return add_terms({"loss": nothing, "accuracy": nothing}, terms)

    def describe(self) -> dict[str, Any]:
        """The objective's settings."""
        facts: dict[str, Any] = to_dict(self._config)
        return facts

    def _step(
        self, model: MaskedLM, batch: MaskedBatch, chunk: Chunk, context: StepContext
    ) -> tuple[Tensor, dict[str, LossSum]]:
        device = context.world.device
        packed = pack_chunk(batch.sequences, chunk, device)
        rows, labels = _masked_rows(batch, chunk, packed.offsets)
        rows, labels = rows.to(device), labels.to(device)
        with autocast(context):
            states = model.encoder(packed, rows=rows)
            states = model.head.dropout(model.head.transform(states))
            weight, bias = output_of(model)
            losses, predicted = vocabulary_cross_entropy(
                states, weight, bias, labels, vocabulary_chunk=self._config.vocabulary_chunk
            )
        total, count = losses.sum(), labels.shape[0]
        accuracy = LossSum((predicted == labels).sum(), count)
        return total, {"loss": LossSum(total, count), "accuracy": accuracy}


def output_of(model: MaskedLM) -> tuple[Tensor, Tensor | None]:
    """Weight and bias of the output layer; the weight may be the embedding table.

    Args:
        model: The model.

    Returns:
        Weight `[vocab, dim]` and bias `[vocab]`.
    """
    output: Any = model.head.output
    weight = model.encoder.embeddings.word.weight if output.weight is None else output.weight
    return weight, output.bias


def _masked_rows(
    batch: MaskedBatch, chunk: Chunk, offsets: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Rows of the packed batch that are masked, and what stood there; none if idle."""
    if not chunk:
        return torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)
    rows = [batch.positions[number] + start for number, start in zip(chunk, offsets, strict=False)]
    labels = [batch.labels[number] for number in chunk]
    return (
        torch.from_numpy(np.concatenate(rows).astype(np.int64)),
        torch.from_numpy(np.concatenate(labels).astype(np.int64)),
    )
