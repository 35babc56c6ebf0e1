"""Keys that several families share: sizes, activations, labels, and what kind of head there is."""

from collections.abc import Mapping
from typing import Any, TypedDict

from mgte.model import EncoderConfig, HeadConfig, HeadKind
from mgte.model.config import Activation
from mgte.store.families.raw_config import RawConfig

ACTIVATIONS: Mapping[str, Activation] = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "silu": "silu",
    "swish": "silu",
    "relu": "relu",
    "tanh": "tanh",
}
_ACTIVATION_NAMES: Mapping[Activation, str] = {
    "gelu": "gelu",
    "gelu_tanh": "gelu_pytorch_tanh",
    "silu": "silu",
    "relu": "relu",
    "tanh": "tanh",
}


# Far above any encoder; a damaged config must not make us list a billion layers.
_MAX_LAYERS = 1_000


class Sizes(TypedDict):
    """Sizes that every config.json states, by the names of `EncoderConfig`."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    head_dim: int
    initializer_range: float


def read_sizes(raw: RawConfig) -> Sizes:
    """The sizes of the encoder.

    Args:
        raw: The config.json.

    Returns:
        Keyword arguments for `EncoderConfig`.

    Raises:
        ConfigError: A key is missing, of the wrong type or not positive, or the heads do not
            divide the hidden size.
    """
    keys = (
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "max_position_embeddings",
    )
    values = {key: raw.integer(key) for key in keys}
    for key, value in values.items():
        if value < 1:
            raise raw.error(key, value, "at least 1")
    if values["num_hidden_layers"] > _MAX_LAYERS:
        raise raw.error("num_hidden_layers", values["num_hidden_layers"], f"at most {_MAX_LAYERS}")
    heads, size = values["num_attention_heads"], values["hidden_size"]
    if size % heads and not raw.has("head_dim"):
        raise raw.error("hidden_size", size, f"a multiple of num_attention_heads={heads}")
    return Sizes(
        vocab_size=values["vocab_size"],
        hidden_size=size,
        num_hidden_layers=values["num_hidden_layers"],
        num_attention_heads=heads,
        intermediate_size=values["intermediate_size"],
        max_position_embeddings=values["max_position_embeddings"],
        head_dim=raw.integer("head_dim", size // heads),
        initializer_range=raw.number("initializer_range", 0.02),
    )


def write_sizes(config: EncoderConfig) -> dict[str, Any]:
    """The sizes of the encoder and its padding token, as config.json spells them."""
    sizes = {
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": config.max_position_embeddings,
        "initializer_range": config.initializer_range,
        "pad_token_id": config.pad_token_id,
    }
    if config.head_dim * config.num_attention_heads != config.hidden_size:
        sizes["head_dim"] = config.head_dim
    return sizes


def read_pad_token_id(raw: RawConfig, default: int) -> int:
    """The padding token.

    Args:
        raw: The config.json.
        default: What a config without one means; 0 where the vocabulary does not reach it.

    Returns:
        The token id.

    Raises:
        ConfigError: The stated token is not in the vocabulary.
    """
    size = raw.integer("vocab_size")
    value = raw.integer("pad_token_id", -1)
    if value >= size:
        raise raw.error("pad_token_id", value, f"below vocab_size={size}")
    # -1 is how some checkpoints say that there is none.
    return value if value >= 0 else default if default < size else 0


def read_type_vocab_size(raw: RawConfig, default: int) -> int:
    """Number of token types; 0 means that there is no table of them."""
    value = raw.integer("type_vocab_size", default)
    if value < 0:
        raise raw.error("type_vocab_size", value, "at least 0")
    return value


def activation_name(activation: Activation) -> str:
    """The activation as transformers names it."""
    return _ACTIVATION_NAMES[activation]


def read_labels(raw: RawConfig, num_outputs: int) -> tuple[str, ...]:
    """Names of the labels in order.

    Args:
        raw: The config.json.
        num_outputs: Rows of the output layer, which count where the config is silent.

    Returns:
        One name per label.

    Raises:
        ConfigError: `id2label` is not an object from 0, 1, ... to names.
    """
    table = raw.mapping("id2label")
    if table is None:
        count = raw.integer("num_labels", num_outputs)
        return tuple(f"LABEL_{index}" for index in range(count))
    return tuple(table.text(str(index)) for index in range(len(table.values)))


def write_labels(head: HeadConfig) -> dict[str, Any]:
    """`id2label` and `label2id` of a classification head; nothing for other heads."""
    if head.kind not in ("token_classification", "sequence_classification"):
        return {}
    labels = head.labels or tuple(f"LABEL_{index}" for index in range(head.num_labels))
    return {
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "label2id": {label: index for index, label in enumerate(labels)},
    }


def classification_kind(raw: RawConfig, *, has_pooler: bool) -> HeadKind:
    """Which classification a checkpoint with a classifier is.

    Args:
        raw: The config.json.
        has_pooler: Whether a layer stands between encoder and classifier.

    Returns:
        What `architectures` says where a pooler is there and it says so clearly; sequence
        classification with a pooler, token classification without one.
    """
    if not has_pooler:
        return "token_classification"
    named = {name.partition("For")[2] for name in raw.texts("architectures")}
    if "TokenClassification" in named and "SequenceClassification" not in named:
        return "token_classification"
    return "sequence_classification"


def classifier_dropout(raw: RawConfig, default: float) -> float:
    """Dropout before the classifier: its own, or that of the hidden states."""
    return raw.number("classifier_dropout", default)
