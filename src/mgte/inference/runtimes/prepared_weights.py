"""The encoder's weights, taken out of a canonical state dict and laid out for the CPU path."""

from collections.abc import MutableMapping
from dataclasses import dataclass

import torch
from torch import Tensor

from mgte.errors import CheckpointError
from mgte.inference.runtimes.prepared_linear import CpuDtype, PreparedLinear, prepare_linear
from mgte.kernels import AttentionShape, NormWeights
from mgte.model import EncoderConfig, RopeConfig


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PreparedLayer:
    """One layer.

    Attributes:
        query_key_value: Projection to q, k and v together; None in the last layer.
        query: Projection to q alone, in the last layer, where few rows may be wanted.
        key_value: Projection to k and v, in the last layer.
        shape: Kind of attention.
        rope: Rotary settings.
        out: Output projection of attention.
        middle_norm: Norm between attention and MLP.
        mlp_in: First projection of the MLP.
        mlp_out: Second projection of the MLP.
        closing_norm: Post-norm: this layer's last norm. Pre-norm: the norm before the next
            layer's attention, or the final norm; None where there is none.
    """

    query_key_value: PreparedLinear | None
    query: PreparedLinear | None
    key_value: PreparedLinear | None
    shape: AttentionShape
    rope: RopeConfig | None
    out: PreparedLinear
    middle_norm: NormWeights | None
    mlp_in: PreparedLinear
    mlp_out: PreparedLinear
    closing_norm: NormWeights | None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PreparedEncoder:
    """All weights of one encoder.

    Attributes:
        word: Token embedding table, in the dtype it came in.
        token_type: Token type table or None.
        position: Absolute position table or None.
        embedding_norm: Norm of the embeddings or None.
        first_norm: Pre-norm: the norm before the first layer's attention; else None.
        layers: The layers.
        final_norm: Norm after the last layer, where that layer does not apply it itself.
    """

    word: Tensor
    token_type: Tensor | None
    position: Tensor | None
    embedding_norm: NormWeights | None
    first_norm: NormWeights | None
    layers: tuple[PreparedLayer, ...]
    final_norm: NormWeights | None


def prepare_encoder(
    config: EncoderConfig, weights: MutableMapping[str, Tensor], dtype: CpuDtype
) -> PreparedEncoder:
    """Lay out all weights, one layer after another.

    Args:
        config: Shape and switches.
        weights: Canonical state dict. Tensors of the layers are removed from it as they are laid
            out, so that there are never two copies of the whole model in memory.
        dtype: What the products run in.

    Returns:
        The prepared weights.

    Raises:
        CheckpointError: A tensor is missing.
    """
    return _Preparation(config, weights, dtype).encoder()


class _Preparation:
    """Takes tensors by name."""

    def __init__(
        self, config: EncoderConfig, weights: MutableMapping[str, Tensor], dtype: CpuDtype
    ) -> None:
        self._config, self._weights, self._dtype = config, weights, dtype

    def encoder(self) -> PreparedEncoder:
        config = self._config
        is_pre = config.norm_position == "pre"
        has_types, has_positions = config.type_vocab_size, config.position_embedding_type != "rope"
        return PreparedEncoder(
            # Not removed: a masked LM head shares this table.
            word=self._find("embeddings.word.weight"),
            token_type=self._vector("embeddings.token_type.weight") if has_types else None,
            position=self._vector("embeddings.position.weight") if has_positions else None,
            embedding_norm=self._layer_norm("embeddings.norm") if config.embedding_norm else None,
            first_norm=self._attention_norm(0) if is_pre else None,
            layers=tuple(self._layer(index) for index in range(config.num_hidden_layers)),
            final_norm=self._norm("final_norm") if config.final_norm and not is_pre else None,
        )

    def _layer(self, index: int) -> PreparedLayer:
        config, name = self._config, f"layers.{index}"
        is_last = index + 1 == config.num_hidden_layers
        weight = self._take(f"{name}.attention.qkv.weight")
        bias = self._take(f"{name}.attention.qkv.bias") if config.qkv_bias else None
        size = config.query_size
        first, rest = (None, None) if bias is None else (bias[:size], bias[size:])
        whole = None if is_last else prepare_linear(weight, bias, self._dtype)
        query = prepare_linear(weight[:size], first, self._dtype) if is_last else None
        key_value = prepare_linear(weight[size:], rest, self._dtype) if is_last else None
        del weight
        return PreparedLayer(
            query_key_value=whole,
            query=query,
            key_value=key_value,
            shape=AttentionShape(
                num_heads=config.num_attention_heads,
                num_key_value_heads=config.num_key_value_heads,
                head_dim=config.head_dim,
                scale=config.head_dim**-0.5,
                window=config.window_of_layer(index),
                is_causal=config.is_causal,
            ),
            rope=config.rope_of_layer(index),
            out=self._linear(f"{name}.attention.out", config.attention_out_bias),
            middle_norm=self._middle_norm(index),
            mlp_in=self._linear(f"{name}.mlp.in_proj", config.mlp_in_bias),
            mlp_out=self._linear(f"{name}.mlp.out_proj", config.mlp_out_bias),
            closing_norm=self._closing_norm(index),
        )

    def _middle_norm(self, index: int) -> NormWeights | None:
        if self._config.norm_position == "post":
            return self._attention_norm(index)
        return self._norm(f"layers.{index}.mlp_norm")

    def _closing_norm(self, index: int) -> NormWeights | None:
        config = self._config
        if config.norm_position == "post":
            return self._norm(f"layers.{index}.mlp_norm")
        if index + 1 < config.num_hidden_layers:
            return self._attention_norm(index + 1)
        return self._norm("final_norm") if config.final_norm else None

    def _attention_norm(self, index: int) -> NormWeights | None:
        if index == 0 and not self._config.first_attention_norm:
            return None
        return self._norm(f"layers.{index}.attention_norm")

    def _norm(self, name: str) -> NormWeights:
        config = self._config
        if config.norm_kind == "layer_norm":
            return self._layer_norm(name)
        weight = self._vector(f"{name}.weight")
        return NormWeights(weight=weight, bias=None, epsilon=config.norm_eps, is_rms=True)

    def _layer_norm(self, name: str) -> NormWeights:
        config = self._config
        return NormWeights(
            weight=self._vector(f"{name}.weight"),
            bias=self._vector(f"{name}.bias") if config.norm_bias else None,
            epsilon=config.norm_eps,
            is_rms=False,
        )

    def _linear(self, name: str, has_bias: bool) -> PreparedLinear:
        bias = self._take(f"{name}.bias") if has_bias else None
        return prepare_linear(self._take(f"{name}.weight"), bias, self._dtype)

    def _vector(self, name: str) -> Tensor:
        return self._take(name).float().contiguous()

    def _find(self, name: str) -> Tensor:
        tensor = self._weights.get(f"encoder.{name}")
        if tensor is None:
            raise CheckpointError(f"encoder weights: tensor `encoder.{name}` is missing")
        return tensor.detach()

    def _take(self, name: str) -> Tensor:
        tensor = self._find(name)
        del self._weights[f"encoder.{name}"]
        return tensor


def word_rows(encoder: PreparedEncoder, ids: Tensor) -> Tensor:
    """float32 embeddings of tokens."""
    return encoder.word.index_select(0, ids).to(torch.float32)
