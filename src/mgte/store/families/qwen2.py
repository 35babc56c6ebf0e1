"""The `qwen2` family: pre-norm decoder layers, used as an encoder with causal or full attention.

A language model's output layer is not read: its checkpoint loads as the encoder under it.
"""

from typing import Any

from mgte.errors import ConfigError
from mgte.model import EncoderConfig, HeadConfig, RopeConfig
from mgte.store.families.family import Family, NameRule, Shapes
from mgte.store.families.fields import (
    ACTIVATIONS,
    activation_name,
    read_pad_token_id,
    read_sizes,
    write_sizes,
)
from mgte.store.families.raw_config import RawConfig
from mgte.store.families.rope import read_rope, write_rope_parameters


def read_config(raw: RawConfig) -> EncoderConfig:
    """Encoder settings.

    Args:
        raw: The config.json.

    Returns:
        The settings; attention is causal unless `is_causal` or GTE-Qwen's `auto_map` says not.

    Raises:
        ConfigError: The checkpoint uses sliding windows.
    """
    sizes = read_sizes(raw)
    if raw.boolean("use_sliding_window", False):
        raise raw.error("use_sliding_window", True, "false: sliding windows are not supported")
    if "sliding_attention" in raw.texts("layer_types"):
        raise raw.error("layer_types", "sliding_attention", "full_attention in every layer")
    return EncoderConfig(
        **sizes,
        num_key_value_heads=raw.integer("num_key_value_heads", sizes["num_attention_heads"]),
        pad_token_id=_read_padding(raw),
        rope=read_rope(raw, default_theta=10_000.0),
        is_causal=raw.boolean("is_causal", not _is_gte_qwen(raw)),
        norm_kind="rms_norm",
        norm_position="pre",
        norm_eps=raw.number("rms_norm_eps", 1e-6),
        embedding_norm=False,
        final_norm=True,
        hidden_act=raw.choice("hidden_act", ACTIVATIONS, "silu"),
        attention_out_bias=False,
        mlp_out_bias=False,
        hidden_dropout_prob=0.0,
    )


def write_config(config: EncoderConfig, head: HeadConfig) -> dict[str, Any]:
    """Keys of config.json; `is_causal` is read by transformers too.

    Args:
        config: The encoder's settings.
        head: The head's settings.

    Returns:
        The keys.

    Raises:
        ConfigError: There is a head.
    """
    if head.kind != "none":
        raise ConfigError(f"head.kind: got {head.kind!r}, expected 'none' for format 'qwen2'")
    return {
        **write_sizes(config),
        "num_key_value_heads": config.num_key_value_heads,
        "rope_parameters": write_rope_parameters(config.rope or RopeConfig(), config.head_dim),
        "rms_norm_eps": config.norm_eps,
        "hidden_act": activation_name(config.hidden_act),
        "attention_dropout": 0.0,
        "is_causal": config.is_causal,
        "tie_word_embeddings": False,
        "use_cache": False,
        "use_sliding_window": False,
    }


def read_head(raw: RawConfig, shapes: Shapes) -> HeadConfig:
    """No head: classification heads on the last token are not supported."""
    return HeadConfig()


def name_rules(config: EncoderConfig, head: HeadConfig, names: frozenset[str]) -> list[NameRule]:
    """The table of names; there is one layout only."""
    ours, theirs = "encoder.layers.{}", "layers.{}"
    return [
        NameRule(ours="encoder.embeddings.word", theirs=("embed_tokens",)),
        NameRule(ours=f"{ours}.attention_norm", theirs=(f"{theirs}.input_layernorm",)),
        NameRule(
            ours=f"{ours}.attention.qkv",
            theirs=tuple(f"{theirs}.self_attn.{part}_proj" for part in "qkv"),
        ),
        NameRule(ours=f"{ours}.attention.out", theirs=(f"{theirs}.self_attn.o_proj",)),
        NameRule(ours=f"{ours}.mlp_norm", theirs=(f"{theirs}.post_attention_layernorm",)),
        NameRule(
            ours=f"{ours}.mlp.in_proj",
            theirs=(f"{theirs}.mlp.gate_proj", f"{theirs}.mlp.up_proj"),
        ),
        NameRule(ours=f"{ours}.mlp.out_proj", theirs=(f"{theirs}.mlp.down_proj",)),
        NameRule(ours="encoder.final_norm", theirs=("norm",)),
    ]


def _is_gte_qwen(raw: RawConfig) -> bool:
    """Whether the config names GTE-Qwen's own code, whose attention is full."""
    auto_map = raw.mapping("auto_map")
    classes = () if auto_map is None else tuple(auto_map.values.values())
    return any("modeling_qwen" in str(name) for name in classes)


def _read_padding(raw: RawConfig) -> int:
    """The padding token; Qwen configs often state none and pad with the one that ends texts."""
    for key in ("bos_token_id", "eos_token_id"):
        if raw.has(key) and not isinstance(raw.values[key], list):
            return read_pad_token_id(raw, raw.integer(key))
    return read_pad_token_id(raw, 0)


FAMILY = Family(
    name="qwen2",
    prefixes=("model.",),
    default_pooling="last",
    architectures={"none": "Qwen2Model"},
    read_config=read_config,
    write_config=write_config,
    read_head=read_head,
    name_rules=name_rules,
    unused=(r"lm_head\.weight",),
)
