"""MaskedLM: encoder + prediction head over the vocabulary."""

from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor, nn

from mgte.model.config import EncoderConfig, HeadConfig
from mgte.model.encoder import Encoder
from mgte.model.heads import Head
from mgte.model.token_ids import run_token_ids
from mgte.packing import PackedBatch, TokenIds


class MaskedLM(nn.Module):
    """Scores of every vocabulary entry at the wanted positions.

    Attributes:
        config: The encoder's settings.
        head_config: Kind "masked_lm".
        family: Checkpoint family that the weights came from.
    """

    def __init__(self, config: EncoderConfig, head: HeadConfig, *, family: str) -> None:
        super().__init__()
        self.config, self.head_config, self.family = config, head, family
        self.encoder = Encoder(config)
        self.head = Head(config, head)

    def forward(
        self, batch: PackedBatch, *, rows: Int[Tensor, " rows"] | None = None
    ) -> Float[Tensor, "rows vocab"]:
        """Scores at the given rows only (the masked positions), or at all tokens."""
        states = self.encoder(batch, rows=rows)
        scores: Tensor = self.head(states, self.encoder.embeddings.word.weight)
        return scores

    def logits_ids(
        self,
        sequences: Sequence[TokenIds],
        token_type_ids: Sequence[TokenIds] | None = None,
    ) -> list[Tensor]:
        """Vocabulary scores, `[tokens, vocab]` per sequence."""

        def scores(batch: PackedBatch) -> list[Tensor]:
            return list(self(batch).split(batch.seqlens))

        return run_token_ids(self, scores, sequences, token_type_ids)
