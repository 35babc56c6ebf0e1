"""EmbeddingModel: encoder + dense pooling + token-weight head; the retrieval model."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from mgte.errors import ConfigError
from mgte.model.config import EncoderConfig, HeadConfig
from mgte.model.encoder import Encoder
from mgte.model.heads import Head
from mgte.model.outputs import EmbeddingOutput, sparse_weights
from mgte.model.token_ids import run_token_ids
from mgte.packing import PackedBatch, Pooling, TokenIds, pool, rows_of_pooling


class EmbeddingModel(nn.Module):
    """Dense vectors and, with a one-label token head, sparse weights from one pass.

    Attributes:
        config: The encoder's settings.
        head_config: Kind "none" (dense only) or "token_classification".
        pooling: How token states become one vector.
        family: Checkpoint family that the weights came from.
        skip_ids: Token ids without sparse weight (the tokenizer's special tokens).
    """

    def __init__(
        self, config: EncoderConfig, head: HeadConfig, *, pooling: Pooling, family: str
    ) -> None:
        super().__init__()
        self.config, self.head_config = config, head
        self.pooling: Pooling = pooling
        self.family = family
        self.skip_ids: tuple[int, ...] = (config.pad_token_id,)
        self.encoder = Encoder(config)
        has_head = head.kind != "none" or head.has_dense
        self.head = Head(config, head) if has_head else None

    @property
    def has_sparse_head(self) -> bool:
        """Whether the token head gives one weight per token."""
        return self.head_config.kind == "token_classification" and self.head_config.num_labels == 1

    def forward(
        self, batch: PackedBatch, *, dense: bool = True, sparse: bool = False
    ) -> EmbeddingOutput:
        """Embed every sequence of the batch.

        Args:
            batch: Token sequences.
            dense: Whether dense vectors are wanted.
            sparse: Whether sparse weights are wanted.

        Returns:
            What was asked for, from one pass of the encoder.

        Raises:
            ConfigError: Sparse weights are wanted and the model has no head for them.
        """
        rows = None if sparse else rows_of_pooling(self.pooling, batch)
        return self.reduce(self.encoder(batch, rows=rows), batch, dense=dense, sparse=sparse)

    def reduce(
        self, states: Tensor, batch: PackedBatch, *, dense: bool, sparse: bool
    ) -> EmbeddingOutput:
        """Outputs from the encoder's states.

        `states` holds all tokens, or one row per sequence where that is all the pooling reads
        and no sparse weights are wanted.
        """
        weights = None
        if sparse:
            logits = self.token_logits(states)
            weights = sparse_weights(
                logits.squeeze(-1),
                batch,
                skip_ids=self.skip_ids,
                vocab_size=self.config.vocab_size,
            )
        if not dense:
            return EmbeddingOutput(dense=None, sparse=weights)
        is_pooled = not sparse and rows_of_pooling(self.pooling, batch) is not None
        vectors = states if is_pooled else pool(states, batch, self.pooling)
        return EmbeddingOutput(dense=vectors, sparse=weights)

    def token_logits(self, states: Float[Tensor, "tokens dim"]) -> Float[Tensor, "tokens labels"]:
        """Raw scores of the token head."""
        if self.head is None or self.head_config.kind != "token_classification":
            raise ConfigError(
                "sparse: this model has no token-weight head, expected a token classification "
                "checkpoint such as gte-multilingual-base"
            )
        scores: Tensor = self.head(states)
        return scores

    def logits_ids(
        self,
        sequences: Sequence[TokenIds],
        token_type_ids: Sequence[TokenIds] | None = None,
    ) -> list[Tensor]:
        """Scores of the token head, `[tokens, labels]` per sequence."""

        def scores(batch: PackedBatch) -> list[Tensor]:
            return list(self.token_logits(self.encoder(batch)).split(batch.seqlens))

        return run_token_ids(self, scores, sequences, token_type_ids)
