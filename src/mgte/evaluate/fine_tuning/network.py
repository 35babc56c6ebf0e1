"""TaskModel: an encoder with the head of one task, on packed batches."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from mgte.model import Encoder
from mgte.packing import PackedBatch, pool, rows_of_pooling

# What a head reads: one state of every sequence, every token, or nothing (unit vectors).
Reading = Literal["sequences", "tokens", "vectors"]
SequencePooling = Literal["cls", "mean"]


class TaskHead(nn.Module):
    """[dense -> tanh ->] dropout -> output.

    Args:
        size: Width of the states.
        num_outputs: Scores per state.
        dropout: Share of the numbers that dropout sets to 0 in training.
        has_pooler: Whether the dense layer is there.
    """

    def __init__(self, size: int, num_outputs: int, *, dropout: float, has_pooler: bool) -> None:
        super().__init__()
        self.dense = nn.Linear(size, size) if has_pooler else None
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(size, num_outputs)

    def forward(self, states: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows outputs"]:
        """Scores of states."""
        if self.dense is not None:
            states = self.dense(states).tanh()
        scores: Tensor = self.output(self.dropout(states))
        return scores

    def draw(self, std: float, generator: torch.Generator) -> None:
        """Fill with first values: weights normal, biases 0.

        Args:
            std: Standard deviation.
            generator: Decides what is drawn.
        """
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if name.endswith("bias"):
                    parameter.zero_()
                else:
                    parameter.normal_(0.0, std, generator=generator)


class TaskModel(nn.Module):
    """An encoder and what a task puts on it.

    Args:
        encoder: The encoder.
        head: The head; None for unit vectors of sequences.
        reading: What the head reads.
        pooling: How the tokens of a sequence become one state.

    Attributes:
        reading: What the head reads.
    """

    def __init__(
        self,
        encoder: Encoder,
        head: TaskHead | None,
        reading: Reading,
        pooling: SequencePooling = "cls",
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.reading = reading
        self._pooling: SequencePooling = pooling

    def forward(self, batch: PackedBatch) -> Float[Tensor, "rows outputs"]:
        """Scores, in float32.

        Args:
            batch: Sequences.

        Returns:
            One row per token if the head reads "tokens", else one per sequence.
        """
        rows = None if self.reading == "tokens" else rows_of_pooling(self._pooling, batch)
        states: Tensor = self.encoder(batch, rows=rows)
        if self.reading != "tokens" and rows is None:
            states = pool(states, batch, self._pooling)
        scores: Tensor = (
            normalize(states.float(), dim=-1) if self.head is None else self.head(states)
        )
        return scores.float()
