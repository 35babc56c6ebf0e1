"""EncoderConfig and HeadConfig: everything that a checkpoint family may choose, in one vocabulary.

A family (`mgte.store.families`) is a translation of its own `config.json` into these two records.
Field names follow Hugging Face where it has a name.
"""

from dataclasses import dataclass
from typing import Literal

from mgte.errors import ConfigError

HeadKind = Literal["none", "token_classification", "sequence_classification", "masked_lm"]
Activation = Literal["gelu", "gelu_tanh", "silu", "relu", "tanh"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RopeConfig:
    """Rotary position embedding of one kind of layer.

    Attributes:
        theta: Base of the geometric series of wave lengths.
        ntk_factor: NTK scaling factor s; 1 means none. Static: it applies to every length.
        ntk_mixed_b: Exponent of the mixed-NTK variant; None means plain NTK.
        linear_factor: Positions are divided by this (transformers' `rope_type: linear`).
    """

    theta: float = 10_000.0
    ntk_factor: float = 1.0
    ntk_mixed_b: float | None = None
    linear_factor: float = 1.0

    def __post_init__(self) -> None:
        for name in ("theta", "ntk_factor", "linear_factor"):
            value = getattr(self, name)
            if not value > 0:
                raise ConfigError(f"rope.{name}: got {value}, expected a number above 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderConfig:
    """Shape and switches of the one encoder.

    Attributes:
        vocab_size: Rows of the token embedding table.
        hidden_size: Width of the hidden states.
        num_hidden_layers: Number of layers.
        num_attention_heads: Query heads.
        num_key_value_heads: Key/value heads; fewer than query heads for grouped attention.
        head_dim: Width of one head.
        intermediate_size: Inner width of the MLP (of one half if gated).
        max_position_embeddings: Longest sequence in tokens.
        pad_token_id: Padding token; never attended to, excluded from sparse weights.
        type_vocab_size: Token types; 0 means no token type table.
        position_embedding_type: Rotary or learned absolute positions.
        position_offset: First row used of the absolute position table (XLM-R: pad id + 1).
        rope: Rotary settings of global layers; None with absolute positions.
        local_rope: Rotary settings of local layers; None without local layers.
        local_window: A local layer attends to keys with |i - j| <= this many tokens.
        local_layers: Indices of the local layers.
        is_causal: Whether token i sees only tokens <= i.
        norm_kind: Kind of the layers' norms.
        norm_position: "post": norm(x + f(x)); "pre": x + f(norm(x)).
        norm_eps: Epsilon of every norm.
        norm_bias: Whether LayerNorms have a bias (RMSNorms never do).
        embedding_norm: Whether embeddings pass through a LayerNorm (always LayerNorm).
        first_attention_norm: Whether layer 0 has an attention norm (ModernBERT: no).
        final_norm: Whether the last hidden state is normed.
        hidden_act: Activation of the MLP.
        gated_mlp: Whether the MLP is act(gate) * up.
        qkv_bias: Bias of the q, k, v projections.
        attention_out_bias: Bias of the attention output projection.
        mlp_in_bias: Bias of the first MLP projection.
        mlp_out_bias: Bias of the second MLP projection.
        logn_attention_scale: Multiply q by ln(num_tokens) / ln(max_position_embeddings).
        logn_attention_clip1: Clip that factor at >= 1.
        hidden_dropout_prob: Dropout of hidden states in training.
        initializer_range: Standard deviation of initial weights.
    """

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    num_key_value_heads: int
    head_dim: int
    pad_token_id: int = 0
    type_vocab_size: int = 0
    position_embedding_type: Literal["rope", "absolute"] = "rope"
    position_offset: int = 0
    rope: RopeConfig | None = None
    local_rope: RopeConfig | None = None
    local_window: int = 0
    local_layers: tuple[int, ...] = ()
    is_causal: bool = False
    norm_kind: Literal["layer_norm", "rms_norm"] = "layer_norm"
    norm_position: Literal["post", "pre"] = "post"
    norm_eps: float = 1e-12
    norm_bias: bool = True
    embedding_norm: bool = True
    first_attention_norm: bool = True
    final_norm: bool = False
    hidden_act: Activation = "gelu"
    gated_mlp: bool = True
    qkv_bias: bool = True
    attention_out_bias: bool = True
    mlp_in_bias: bool = False
    mlp_out_bias: bool = True
    logn_attention_scale: bool = False
    logn_attention_clip1: bool = False
    hidden_dropout_prob: float = 0.1
    initializer_range: float = 0.02

    def __post_init__(self) -> None:
        for name in _POSITIVE:
            value = getattr(self, name)
            if value < 1:
                raise ConfigError(f"config.{name}: got {value}, expected at least 1")
        if self.num_attention_heads % self.num_key_value_heads:
            raise ConfigError(
                f"config.num_key_value_heads: got {self.num_key_value_heads}, expected a divisor "
                f"of num_attention_heads={self.num_attention_heads}"
            )
        if self.position_embedding_type == "rope":
            if self.rope is None:
                raise ConfigError("config.rope: missing, expected rotary settings")
            if self.head_dim % 2:
                raise ConfigError(
                    f"config.head_dim: got {self.head_dim}, expected an even number for rotary "
                    "positions"
                )
        if self.local_layers and self.local_window < 1:
            raise ConfigError(
                f"config.local_window: got {self.local_window}, expected at least 1 with local "
                "layers"
            )

    @property
    def query_size(self) -> int:
        """Width of all query heads together."""
        return self.num_attention_heads * self.head_dim

    @property
    def key_value_size(self) -> int:
        """Width of all key heads (or all value heads) together."""
        return self.num_key_value_heads * self.head_dim

    @property
    def max_tokens(self) -> int:
        """Longest sequence that the model was made for, special tokens included."""
        return self.max_position_embeddings - self.position_offset

    @property
    def position_limit(self) -> int | None:
        """Longest sequence that can be computed: rotary positions know no end."""
        return self.max_tokens if self.position_embedding_type == "absolute" else None

    def rope_of_layer(self, layer: int) -> RopeConfig | None:
        """Rotary settings of one layer; None with absolute positions."""
        return self.local_rope if layer in self.local_layers else self.rope

    def window_of_layer(self, layer: int) -> int | None:
        """Half window of one layer in tokens; None means the whole sequence."""
        return self.local_window if layer in self.local_layers else None


_POSITIVE = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "intermediate_size",
    "max_position_embeddings",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadConfig:
    """What stands on the encoder: nothing, token, sequence or vocabulary scores.

    A head is `[dense -> activation [-> norm]] -> output`. With kind "none" a dense layer may still
    be there: bare BERT checkpoints carry their pooler, which is kept so that saving gives back
    what was loaded, and is not used.

    Attributes:
        kind: What the head scores.
        num_labels: Rows of the output layer (vocabulary size for "masked_lm").
        labels: Names of the labels, in order.
        pooling: Which state a sequence classification reads.
        has_dense: Whether there is a dense layer before the output.
        dense_bias: Whether the dense layer has a bias.
        activation: Activation after the dense layer.
        has_norm: Whether a LayerNorm follows the activation.
        norm_bias: Whether that norm has a bias.
        output_bias: Whether the output layer has a bias.
        is_tied: Whether the output weight is the token embedding table.
        dropout: Dropout before the output layer in training.
    """

    kind: HeadKind = "none"
    num_labels: int = 0
    labels: tuple[str, ...] = ()
    pooling: Literal["cls", "mean"] = "cls"
    has_dense: bool = False
    dense_bias: bool = True
    activation: Activation = "tanh"
    has_norm: bool = False
    norm_bias: bool = True
    output_bias: bool = True
    is_tied: bool = False
    dropout: float = 0.0
