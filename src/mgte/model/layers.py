"""Building blocks of the encoder: norms, embeddings, attention block, MLP, one layer.

Legend: T tokens, D hidden size.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mgte.model.attention import varlen_attention
from mgte.model.attention_backends import AttentionSpec
from mgte.model.config import Activation, EncoderConfig
from mgte.model.rope import rotate
from mgte.packing import PackedBatch

_ACTIVATIONS = {
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "silu": functional.silu,
    "relu": functional.relu,
    "tanh": torch.tanh,
}


def activate(x: Tensor, activation: Activation) -> Tensor:
    """Apply an activation by its name; "gelu" is the exact one (erf)."""
    return _ACTIVATIONS[activation](x)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TokenContext:
    """What every layer needs to know about the tokens, computed once per batch.

    Attributes:
        batch: The packed batch.
        rotary: Cosines and sines of each token for global and for local layers.
        query_scale: Factor on each token's queries (log-n scaling), `[T, 1, 1]`.
        attention: Name of the attention backend.
    """

    batch: PackedBatch
    rotary: dict[bool, tuple[Tensor, Tensor]]
    query_scale: Tensor | None
    attention: str


def build_norm(config: EncoderConfig) -> nn.Module:
    """The norm of the layers: LayerNorm, with or without bias, or RMSNorm."""
    if config.norm_kind == "rms_norm":
        return nn.RMSNorm(config.hidden_size, eps=config.norm_eps)
    return nn.LayerNorm(config.hidden_size, eps=config.norm_eps, bias=config.norm_bias)


class Embeddings(nn.Module):
    """Token (+ token type) (+ absolute position) embeddings, normed."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.word = nn.Embedding(config.vocab_size, size)
        self.token_type = (
            nn.Embedding(config.type_vocab_size, size) if config.type_vocab_size else None
        )
        is_absolute = config.position_embedding_type == "absolute"
        self.position = nn.Embedding(config.max_position_embeddings, size) if is_absolute else None
        self.position_offset = config.position_offset
        self.norm = (
            nn.LayerNorm(size, eps=config.norm_eps, bias=config.norm_bias)
            if config.embedding_norm
            else None
        )
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, batch: PackedBatch) -> Float[Tensor, "tokens dim"]:
        """Embed every token of the batch."""
        x: Tensor = self.word(batch.input_ids)
        if self.token_type is not None:
            types = batch.token_type_ids
            x = x + (self.token_type.weight[0] if types is None else self.token_type(types))
        if self.position is not None:
            x = x + self.position(batch.position_ids + self.position_offset)
        if self.norm is not None:
            x = self.norm(x)
        dropped: Tensor = self.dropout(x)
        return dropped


class Attention(nn.Module):
    """Projections around `varlen_attention`, with rotary positions."""

    def __init__(self, config: EncoderConfig, layer: int) -> None:
        super().__init__()
        self.sizes = (config.query_size, config.key_value_size, config.key_value_size)
        self.head_dim = config.head_dim
        self.qkv = nn.Linear(config.hidden_size, sum(self.sizes), bias=config.qkv_bias)
        self.out = nn.Linear(config.query_size, config.hidden_size, bias=config.attention_out_bias)
        self.is_local = layer in config.local_layers
        self.spec = AttentionSpec(
            scale=1 / math.sqrt(config.head_dim),
            window=config.window_of_layer(layer),
            is_causal=config.is_causal,
        )

    def forward(
        self, x: Float[Tensor, "tokens dim"], context: TokenContext, rows: Tensor | None
    ) -> Float[Tensor, "rows dim"]:
        """Attention output of all tokens, or of the given rows."""
        q, k, v = (
            part.unflatten(-1, (-1, self.head_dim))
            for part in self.qkv(x).split(self.sizes, dim=-1)
        )
        if self.is_local in context.rotary:
            cos, sin = context.rotary[self.is_local]
            q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if context.query_scale is not None:
            q = q * context.query_scale.to(q.dtype)
        out = varlen_attention(q, k, v, context.batch, self.spec, backend=context.attention)
        out = out.flatten(1)
        projected: Tensor = self.out(out if rows is None else out[rows])
        return projected


class Mlp(nn.Module):
    """act(gate) * up, or a plain two-layer MLP."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        width = config.intermediate_size * (2 if config.gated_mlp else 1)
        self.in_proj = nn.Linear(config.hidden_size, width, bias=config.mlp_in_bias)
        self.out_proj = nn.Linear(
            config.intermediate_size, config.hidden_size, bias=config.mlp_out_bias
        )
        self.is_gated = config.gated_mlp
        self.activation = config.hidden_act
        self.dropout = nn.Dropout(config.hidden_dropout_prob if config.gated_mlp else 0.0)

    def forward(self, x: Float[Tensor, "tokens dim"]) -> Float[Tensor, "tokens dim"]:
        """Transform every token on its own."""
        inner = self.in_proj(x)
        if self.is_gated:
            gate, up = inner.chunk(2, dim=-1)
            inner = self.dropout(activate(gate, self.activation) * up)
        else:
            inner = activate(inner, self.activation)
        out: Tensor = self.out_proj(inner)
        return out


class Layer(nn.Module):
    """Attention and MLP, each with a residual connection and a norm before or after it."""

    def __init__(self, config: EncoderConfig, layer: int) -> None:
        super().__init__()
        has_attention_norm = layer > 0 or config.first_attention_norm
        self.attention_norm = build_norm(config) if has_attention_norm else nn.Identity()
        self.attention = Attention(config, layer)
        self.mlp_norm = build_norm(config)
        self.mlp = Mlp(config)
        self.is_pre_norm = config.norm_position == "pre"
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(
        self, x: Float[Tensor, "tokens dim"], context: TokenContext, rows: Tensor | None = None
    ) -> Float[Tensor, "rows dim"]:
        """Next hidden state of all tokens, or of the given rows."""
        out: Tensor
        kept = x if rows is None else x[rows]
        if self.is_pre_norm:
            kept = kept + self.dropout(self.attention(self.attention_norm(x), context, rows))
            out = kept + self.dropout(self.mlp(self.mlp_norm(kept)))
        else:
            kept = self.attention_norm(kept + self.dropout(self.attention(x, context, rows)))
            out = self.mlp_norm(kept + self.dropout(self.mlp(kept)))
        return out
