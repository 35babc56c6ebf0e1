"""RerankerModel: encoder + sequence classification; one score per (query, document) pair."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from mgte.model.config import EncoderConfig, HeadConfig
from mgte.model.encoder import Encoder
from mgte.model.heads import Head
from mgte.model.token_ids import run_token_ids
from mgte.packing import PackedBatch, TokenIds, pool, rows_of_pooling


class RerankerModel(nn.Module):
    """Cross-encoder over packed pairs.

    Attributes:
        config: The encoder's settings.
        head_config: Kind "sequence_classification".
        family: Checkpoint family that the weights came from.
    """

    def __init__(self, config: EncoderConfig, head: HeadConfig, *, family: str) -> None:
        super().__init__()
        self.config, self.head_config, self.family = config, head, family
        self.encoder = Encoder(config)
        self.head = Head(config, head)

    def forward(self, batch: PackedBatch) -> Float[Tensor, "seqs labels"]:
        """Raw scores of every sequence."""
        rows = rows_of_pooling(self.head_config.pooling, batch)
        return self.reduce(self.encoder(batch, rows=rows), batch)

    def reduce(self, states: Tensor, batch: PackedBatch) -> Float[Tensor, "seqs labels"]:
        """Scores from the encoder's states: one row per sequence for "cls", else all tokens."""
        if rows_of_pooling(self.head_config.pooling, batch) is None:
            states = pool(states, batch, self.head_config.pooling)
        scores: Tensor = self.head(states)
        return scores

    def logits_ids(
        self,
        sequences: Sequence[TokenIds],
        token_type_ids: Sequence[TokenIds] | None = None,
    ) -> list[Tensor]:
        """Raw scores, `[labels]` per sequence."""

        def scores(batch: PackedBatch) -> list[Tensor]:
            return list(self(batch))

        return run_token_ids(self, scores, sequences, token_type_ids)
