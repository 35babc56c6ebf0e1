"""Reranking: scores of each query's own candidates; queries stay whole, so chunks are independent.

A query whose candidates together exceed the budget of one pass is the exception: its candidates go
through the model in several chunks, with the gradient cache.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mgte.config import to_dict
from mgte.data import Batch, RerankBatch
from mgte.losses import (
    LossSum,
    binary_cross_entropy,
    listwise_cross_entropy,
    positive_leads,
    squared_error,
)
from mgte.model import EmbeddingOutput, RerankerModel
from mgte.packing import PackedBatch
from mgte.train.grad_cache import backward_in_chunks
from mgte.train.objectives.chunks import (
    Chunk,
    add_terms,
    autocast,
    backward_per_chunk,
    pack_chunk,
    plan_chunks,
    scope_of,
)
from mgte.train.objectives.config import RerankingConfig
from mgte.train.objectives.model_checks import reranker_of
from mgte.train.objectives.objective import StepContext
from mgte.train.objectives.outputs_in_order import dense_in_order
from mgte.train.objectives.pair_terms import distillation_loss


class RerankingObjective:
    """Listwise or pointwise loss per query. Reports loss and for how many the positive is first.

    Args:
        config: The objective.
    """

    def __init__(self, config: RerankingConfig) -> None:
        self._config = config

    def accumulate(
        self, model: nn.Module, batch: Batch, context: StepContext
    ) -> Mapping[str, LossSum]:
        """Add the gradient of the loss over this share; see `Objective`."""
        assert isinstance(batch, RerankBatch), "the loader gives what the objective asks for"
        reranker = reranker_of(model)
        lengths = np.array([len(pair) for pair in batch.pairs], dtype=np.int64)
        ends = np.concatenate([[0], lengths.cumsum()])[batch.cu_candidates]
        tokens = np.diff(ends)
        fits = tokens <= context.tokens_per_chunk
        long_queries = np.flatnonzero(~fits).tolist()
        short_queries = np.flatnonzero(fits).tolist()
        groups = [
            [short_queries[index] for index in group]
            for group in plan_chunks(tokens[fits].tolist(), context)
        ]
        # Long queries first: the last backward pass of the batch is then one of many, or theirs.
        terms = self._terms_without_queries(context)
        terms = add_terms(
            terms, self._long(reranker, batch, long_queries, context, is_last=not groups)
        )

        def step(queries: Chunk) -> tuple[Tensor, dict[str, LossSum]]:
            chosen = _pairs_of(batch, queries)
            packed = pack_chunk(batch.pairs, chosen, context.world.device, batch.token_types)
            scores = _scores(reranker, packed, context)
            # An idle pass has a score that nobody wants, and yet a gradient: zero.
            return self._terms(scores[: len(chosen)], batch, queries)

        return add_terms(terms, backward_per_chunk(groups, step, context))

    def describe(self) -> dict[str, Any]:
        """The objective's settings."""
        facts: dict[str, Any] = to_dict(self._config)
        return facts

    def _long(
        self,
        model: RerankerModel,
        batch: RerankBatch,
        queries: list[int],
        context: StepContext,
        *,
        is_last: bool,
    ) -> dict[str, LossSum]:
        """Queries whose candidates do not fit into one pass, with the gradient cache."""
        pairs = _pairs_of(batch, queries)
        chunks = plan_chunks([len(batch.pairs[pair]) for pair in pairs], context)
        if not chunks:
            return {}
        device = context.world.device

        def encode(number: int) -> EmbeddingOutput:
            chosen = [pairs[index] for index in chunks[number]]
            packed = pack_chunk(batch.pairs, chosen, device, batch.token_types)
            scores = _scores(model, packed, context)
            return EmbeddingOutput(dense=scores[:, None], sparse=None)

        def loss(outputs: Sequence[EmbeddingOutput]) -> tuple[Tensor, dict[str, LossSum]]:
            nothing = torch.zeros(0, 1, device=device, requires_grad=True)
            scores = dense_in_order(outputs, chunks, nothing).squeeze(1)
            total, terms = self._terms(scores, batch, queries)
            return total, add_terms({}, terms)

        return backward_in_chunks(
            encode, len(chunks), loss, scope=scope_of(context, is_last=is_last), device=device
        )

    def _terms(
        self, scores: Tensor, batch: RerankBatch, queries: list[int]
    ) -> tuple[Tensor, dict[str, LossSum]]:
        """Terms of some queries from the scores of their candidates."""
        config = self._config
        chosen = _pairs_of(batch, queries)
        counts = np.diff(batch.cu_candidates)[queries] if queries else np.zeros(0)
        offsets = torch.from_numpy(np.concatenate([[0], counts.cumsum()]).astype(np.int64))
        offsets = offsets.to(scores.device)
        labels = torch.from_numpy(batch.labels[chosen]).to(scores.device)
        teacher = torch.from_numpy(batch.teacher_scores[chosen]).to(scores.device)
        on_labels = self._loss_on_labels(scores, labels, offsets)
        total = config.label_weight * on_labels.total
        terms = {"loss_labels": on_labels, "accuracy": positive_leads(scores, labels, offsets)}
        if config.distillation.weight > 0:
            if config.distillation.kind == "mse":
                term = squared_error(scores, teacher, offsets)
            else:
                term = distillation_loss(
                    config.distillation, scores, teacher, offsets, config.temperature
                )
            terms["loss_distillation"] = term
            total = total + config.distillation.weight * term.total
        return total, {"loss": LossSum(total, len(queries)), **terms}

    def _loss_on_labels(self, scores: Tensor, labels: Tensor, offsets: Tensor) -> LossSum:
        config = self._config
        if config.loss == "listwise":
            return listwise_cross_entropy(scores, labels, offsets, temperature=config.temperature)
        if config.loss == "bce":
            return binary_cross_entropy(scores, labels, offsets)
        return squared_error(scores, labels, offsets)

    def _terms_without_queries(self, context: StepContext) -> dict[str, LossSum]:
        """The names that every process reports."""
        nothing = LossSum(torch.zeros((), device=context.world.device), 0)
        names = ["loss", "loss_labels", "accuracy"]
        names += ["loss_distillation"] if self._config.distillation.weight > 0 else []
        return dict.fromkeys(names, nothing)


def _scores(model: RerankerModel, packed: PackedBatch, context: StepContext) -> Tensor:
    with autocast(context):
        scores: Tensor = model(packed).squeeze(-1)
    return scores.float()


def _pairs_of(batch: RerankBatch, queries: list[int]) -> list[int]:
    """Numbers of the candidates of some queries."""
    starts, stops = batch.cu_candidates[:-1], batch.cu_candidates[1:]
    return [pair for query in queries for pair in range(int(starts[query]), int(stops[query]))]
