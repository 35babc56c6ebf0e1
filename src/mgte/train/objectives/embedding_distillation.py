"""Distillation of a teacher's vectors: directions, and similarities among the batch's texts."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mgte.config import to_dict
from mgte.data import Batch, VectorBatch
from mgte.errors import ConfigError
from mgte.losses import LossSum, cosine_distance, matryoshka, prefix, similarity_divergence
from mgte.model import EmbeddingOutput
from mgte.train.gather import gather_rows, share_sizes
from mgte.train.grad_cache import backward_in_chunks
from mgte.train.objectives.chunks import (
    add_terms,
    encode_chunk,
    pack_chunk,
    plan_chunks,
    scope_of,
)
from mgte.train.objectives.config import EmbeddingDistillationConfig
from mgte.train.objectives.model_checks import embedding_model_of, widths_of
from mgte.train.objectives.objective import StepContext
from mgte.train.objectives.outputs_in_order import dense_in_order
from mgte.train.world import World


class EmbeddingDistillationObjective:
    """Brings a student's vectors to a teacher's. Reports both terms, and the mean cosine distance.

    The similarity term compares each text with the texts of all processes and reads the teacher's
    vectors as they are, whatever the student's width.

    Args:
        config: The objective.
        projection: From the teacher's width to the student's, `[teacher width, student width]`;
            None where they are equal.
    """

    def __init__(
        self, config: EmbeddingDistillationConfig, projection: Tensor | None = None
    ) -> None:
        self._config = config
        self._projection = projection

    def accumulate(
        self, model: nn.Module, batch: Batch, context: StepContext
    ) -> Mapping[str, LossSum]:
        """Add the gradient of the loss over this share; see `Objective`.

        Raises:
            ConfigError: The teacher's vectors do not have the student's width.
        """
        assert isinstance(batch, VectorBatch), "the loader gives what the objective asks for"
        embedder = embedding_model_of(model, self._config.kind)
        device, width = context.world.device, embedder.config.hidden_size
        teachers = torch.tensor(batch.vectors, dtype=torch.float32, device=device)
        projected = self._projected(teachers, width)
        chunks = plan_chunks([len(sequence) for sequence in batch.sequences], context)

        def encode(number: int) -> EmbeddingOutput:
            packed = pack_chunk(batch.sequences, chunks[number], device)
            return encode_chunk(embedder, packed, context, dense=True, sparse=False)

        def loss(outputs: Sequence[EmbeddingOutput]) -> tuple[Tensor, dict[str, LossSum]]:
            no_rows = torch.zeros(0, width, device=device, requires_grad=True)
            students = dense_in_order(outputs, chunks, no_rows)
            terms = self._terms(students, teachers, projected, context.world)
            return terms["loss"].total, add_terms({}, terms)

        return backward_in_chunks(encode, len(chunks), loss, scope=scope_of(context), device=device)

    def describe(self) -> dict[str, Any]:
        """The objective's settings, and the widths that the projection joins."""
        facts: dict[str, Any] = to_dict(self._config)
        if self._projection is not None:
            facts["projection"] = list(self._projection.shape)
        return facts

    def _projected(self, teachers: Tensor, width: int) -> Tensor:
        if self._projection is not None and teachers.shape[1] == self._projection.shape[0]:
            teachers = teachers @ self._projection.to(teachers)
        if teachers.shape[1] != width:
            raise ConfigError(
                f"objective embedding_distillation: got teacher's vectors of width "
                f"{teachers.shape[1]}, expected the student's {width} or a projection to it"
            )
        return teachers

    def _terms(
        self, students: Tensor, teachers: Tensor, projected: Tensor, world: World
    ) -> dict[str, LossSum]:
        config, width = self._config, students.shape[1]
        sizes = [number for (number,) in share_sizes([students.shape[0]], world)]
        all_students = gather_rows(students, world, sizes)
        own_teachers = prefix(teachers, teachers.shape[1])
        all_teachers = gather_rows(own_teachers, world, sizes)
        start = sum(sizes[: world.rank])
        own = torch.arange(start, start + students.shape[0], device=students.device)

        def direction(dim: int) -> LossSum:
            return cosine_distance(students[:, :dim], projected[:, :dim])

        def similarity(dim: int) -> LossSum:
            return similarity_divergence(
                (prefix(students, dim), prefix(all_students, dim)),
                (own_teachers, all_teachers),
                own,
                temperature=config.temperature,
            )

        widths = widths_of(config.dims, width, width)
        weights = (1.0 / len(widths),) * len(widths)
        cosine = matryoshka(direction, widths, weights)
        similar = matryoshka(similarity, widths, weights)
        total = config.cosine_weight * cosine.total + config.similarity_weight * similar.total
        loss = LossSum(total, cosine.count)
        return {"loss": loss, "loss_cosine": cosine, "loss_similarity": similar}
