"""Encoder: packed batch in, hidden states out. The one model body of all checkpoint families."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mgte.errors import DataError
from mgte.model.config import EncoderConfig
from mgte.model.layers import Embeddings, Layer, Mlp, TokenContext, build_norm
from mgte.model.rope import RopeTables
from mgte.packing import PackedBatch


class Encoder(nn.Module):
    """Embeddings, layers, and for pre-norm families a final norm.

    Attributes:
        config: Shape and switches.
        attention: Name of the attention backend; "auto" takes the first that supports the case.
        recompute_layers: Whether layers are computed again in the backward pass instead of keeping
            their activations; same result, dropout included, for less memory and more time.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.attention = "auto"
        self.recompute_layers = False
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(
            Layer(config, layer) for layer in range(config.num_hidden_layers)
        )
        self.final_norm = build_norm(config) if config.final_norm else None
        self._tables = RopeTables(config.head_dim)

    def forward(
        self, batch: PackedBatch, *, rows: Int[Tensor, " rows"] | None = None
    ) -> Float[Tensor, "rows dim"]:
        """Hidden states of the last layer.

        Args:
            batch: Sequences of at most `config.position_limit` tokens each.
            rows: Tokens whose state is wanted; None means all. The result is exact; the last
                layer only skips the work whose result nobody reads.

        Returns:
            One state per wanted token.

        Raises:
            DataError: A sequence is longer than the model's positions.
        """
        self._check_lengths(batch)
        x: Tensor = self.embeddings(batch)
        context = self._context(batch, x.dtype)
        for layer in self.layers[:-1]:
            x = self._pass(layer, x, context, None)
        x = self._pass(self.layers[-1], x, context, rows)
        return x if self.final_norm is None else self.final_norm(x)

    def compile_layers(self) -> None:
        """Compile what a layer does to each token on its own.

        Attention is left out: how a batch is divided into sequences differs from batch to batch,
        and would be compiled anew each time.
        """
        for module in self.modules():
            if isinstance(module, Mlp):
                module.compile(dynamic=True)

    def _pass(
        self, layer: nn.Module, x: Tensor, context: TokenContext, rows: Tensor | None
    ) -> Tensor:
        out: Tensor
        if self.recompute_layers and torch.is_grad_enabled():
            out = checkpoint(layer, x, context, rows, use_reentrant=False)
        else:
            out = layer(x, context, rows)
        return out

    def _check_lengths(self, batch: PackedBatch) -> None:
        longest, limit = batch.max_seqlen, self.config.position_limit
        if limit is not None and longest > limit:
            raise DataError(
                f"sequence {batch.seqlens.index(longest)}: has {longest:,} tokens, more than the "
                f"model's {limit:,}"
            )

    def _context(self, batch: PackedBatch, dtype: torch.dtype) -> TokenContext:
        config, rotary = self.config, {}
        for is_local, rope in ((False, config.rope), (True, config.local_rope)):
            if rope is not None:
                rotary[is_local] = self._tables.at(
                    rope, batch.position_ids, batch.max_seqlen, dtype
                )
        scale = logn_query_scale(config, batch) if config.logn_attention_scale else None
        return TokenContext(batch=batch, rotary=rotary, query_scale=scale, attention=self.attention)


def logn_query_scale(config: EncoderConfig, batch: PackedBatch) -> Float[Tensor, "tokens 1 1"]:
    """Log-n factor of each token: ln(tokens of its sequence) / ln(max positions).

    Source: GTE new-impl modeling.py, `logn_attention_scale`; clipped at 1 by
    `logn_attention_clip1`.
    """
    device = batch.input_ids.device
    lengths = batch.cu_seqlens.diff().float()
    factors = lengths.log() / math.log(config.max_position_embeddings)
    if config.logn_attention_clip1:
        factors = factors.clip(min=1.0)
    repeats = batch.cu_seqlens.diff().long()
    per_token = factors.repeat_interleave(repeats, output_size=batch.input_ids.shape[0])
    return per_token.to(device)[:, None, None]
