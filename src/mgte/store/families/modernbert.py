"""The `modernbert` family: pre-norm layers, global and local attention, in both config spellings.

`Wi` holds the activated half first, as ours does.
"""

from typing import Any

from mgte.model import EncoderConfig, HeadConfig, HeadKind, RopeConfig
from mgte.store.families.family import Family, NameRule, Shapes
from mgte.store.families.fields import (
    ACTIVATIONS,
    activation_name,
    classification_kind,
    read_labels,
    read_pad_token_id,
    read_sizes,
    write_labels,
    write_sizes,
)
from mgte.store.families.raw_config import RawConfig
from mgte.store.families.rope import read_rope_scaling, write_rope_parameters

_LAYER_TYPES = ("full_attention", "sliding_attention")
_POOLINGS = {"cls": "cls", "mean": "mean"}


def read_config(raw: RawConfig) -> EncoderConfig:
    """Encoder settings from either spelling: `layer_types` and `rope_parameters`, or the older."""
    sizes = read_sizes(raw)
    local_layers = _read_local_layers(raw, sizes["num_hidden_layers"])
    has_bias = raw.boolean("attention_bias", False)
    mlp_bias = raw.boolean("mlp_bias", False)
    # `local_attention` counts the whole window, both sides together.
    window = raw.integer("local_attention", 128)
    if window < 2:
        raise raw.error("local_attention", window, "at least 2")
    return EncoderConfig(
        **sizes,
        num_key_value_heads=sizes["num_attention_heads"],
        pad_token_id=read_pad_token_id(raw, 0),
        rope=_read_rope(raw, "full_attention", "global_rope_theta", 160_000.0),
        local_rope=_read_rope(raw, "sliding_attention", "local_rope_theta", 10_000.0)
        if local_layers
        else None,
        local_window=window // 2 if local_layers else 0,
        local_layers=local_layers,
        norm_position="pre",
        norm_eps=raw.number("norm_eps", 1e-5),
        norm_bias=raw.boolean("norm_bias", False),
        first_attention_norm=False,
        final_norm=True,
        hidden_act=raw.choice("hidden_activation", ACTIVATIONS, "gelu"),
        qkv_bias=has_bias,
        attention_out_bias=has_bias,
        mlp_in_bias=mlp_bias,
        mlp_out_bias=mlp_bias,
        hidden_dropout_prob=raw.number("mlp_dropout", 0.0),
    )


def write_config(config: EncoderConfig, head: HeadConfig) -> dict[str, Any]:
    """Keys of config.json in both spellings, so that every version of transformers reads it."""
    rope = config.rope or RopeConfig(theta=160_000.0)
    local_rope = config.local_rope or RopeConfig()
    local = set(config.local_layers)
    layers = range(config.num_hidden_layers)
    every = next((n for n in layers if n > 0 and n not in local), config.num_hidden_layers)
    keys = {
        **write_sizes(config),
        "layer_types": [_LAYER_TYPES[layer in local] for layer in layers],
        "rope_parameters": {
            "full_attention": write_rope_parameters(rope, config.head_dim),
            "sliding_attention": write_rope_parameters(local_rope, config.head_dim),
        },
        "local_attention": 2 * config.local_window if local else 128,
        "hidden_activation": activation_name(config.hidden_act),
        "norm_eps": config.norm_eps,
        "norm_bias": config.norm_bias,
        "attention_bias": config.qkv_bias,
        "mlp_bias": config.mlp_in_bias,
        "attention_dropout": 0.0,
        "embedding_dropout": config.hidden_dropout_prob,
        "mlp_dropout": config.hidden_dropout_prob,
        "tie_word_embeddings": head.kind != "masked_lm" or head.is_tied,
        **_write_head(head),
        **write_labels(head),
    }
    # The older spelling knows regular patterns only.
    if local == {layer for layer in layers if layer % every}:
        keys["global_attn_every_n_layers"] = every
        keys["global_rope_theta"] = rope.theta
        keys["local_rope_theta"] = local_rope.theta
    return keys


def read_head(raw: RawConfig, shapes: Shapes) -> HeadConfig:
    """The head that the checkpoint's tensors show; all heads share one transform."""
    kind: HeadKind
    labels: tuple[str, ...] = ()
    if "classifier.weight" in shapes:
        kind = classification_kind(raw, has_pooler=True)
        labels = read_labels(raw, shapes["classifier.weight"][0])
    elif "head.dense.weight" in shapes:
        kind = "masked_lm"
    else:
        return HeadConfig()
    is_lm = kind == "masked_lm"
    is_tied = raw.boolean("tie_word_embeddings", True) or "decoder.weight" not in shapes
    return HeadConfig(
        kind=kind,
        num_labels=raw.integer("vocab_size") if is_lm else len(labels),
        labels=labels,
        pooling="mean" if raw.choice("classifier_pooling", _POOLINGS, "cls") == "mean" else "cls",
        has_dense=True,
        dense_bias=raw.boolean("classifier_bias", False),
        activation=raw.choice("classifier_activation", ACTIVATIONS, "gelu"),
        has_norm=True,
        norm_bias=raw.boolean("norm_bias", False),
        output_bias=raw.boolean("decoder_bias", True) if is_lm else True,
        is_tied=is_lm and is_tied,
        dropout=0.0 if is_lm else raw.number("classifier_dropout", 0.0),
    )


def name_rules(config: EncoderConfig, head: HeadConfig, names: frozenset[str]) -> list[NameRule]:
    """The table of names; there is one layout only."""
    ours, theirs = "encoder.layers.{}", "layers.{}"
    output = "decoder" if head.kind == "masked_lm" else "classifier"
    return [
        NameRule(
            ours="encoder.embeddings.word",
            theirs=("embeddings.tok_embeddings",),
            copies=("decoder",) if head.is_tied else (),
        ),
        NameRule(ours="encoder.embeddings.norm", theirs=("embeddings.norm",)),
        NameRule(ours=f"{ours}.attention_norm", theirs=(f"{theirs}.attn_norm",)),
        NameRule(ours=f"{ours}.attention.qkv", theirs=(f"{theirs}.attn.Wqkv",)),
        NameRule(ours=f"{ours}.attention.out", theirs=(f"{theirs}.attn.Wo",)),
        NameRule(ours=f"{ours}.mlp_norm", theirs=(f"{theirs}.mlp_norm",)),
        NameRule(ours=f"{ours}.mlp.in_proj", theirs=(f"{theirs}.mlp.Wi",)),
        NameRule(ours=f"{ours}.mlp.out_proj", theirs=(f"{theirs}.mlp.Wo",)),
        NameRule(ours="encoder.final_norm", theirs=("final_norm",)),
        NameRule(ours="head.dense", theirs=("head.dense",), in_backbone=False),
        NameRule(ours="head.norm", theirs=("head.norm",), in_backbone=False),
        NameRule(ours="head.output", theirs=(output,), in_backbone=False),
    ]


def _write_head(head: HeadConfig) -> dict[str, Any]:
    if head.kind == "none":
        return {"classifier_pooling": head.pooling}
    is_lm = head.kind == "masked_lm"
    return {
        "classifier_pooling": head.pooling,
        "classifier_bias": head.dense_bias,
        "classifier_activation": activation_name(head.activation),
        "classifier_dropout": head.dropout,
        "decoder_bias": head.output_bias if is_lm else True,
    }


def _read_local_layers(raw: RawConfig, num_layers: int) -> tuple[int, ...]:
    kinds = raw.texts("layer_types")
    if not kinds:
        every = raw.integer("global_attn_every_n_layers", 3)
        if every < 1:
            raise raw.error("global_attn_every_n_layers", every, "at least 1")
        return tuple(layer for layer in range(num_layers) if layer % every)
    unknown = [kind for kind in kinds if kind not in _LAYER_TYPES]
    if unknown:
        raise raw.error("layer_types", unknown[0], f"one of {', '.join(_LAYER_TYPES)}")
    if len(kinds) != num_layers:
        raise raw.error("layer_types", list(kinds), f"{num_layers} entries, one per layer")
    return tuple(layer for layer, kind in enumerate(kinds) if kind == "sliding_attention")


def _read_rope(raw: RawConfig, kind: str, old_key: str, default_theta: float) -> RopeConfig:
    parameters = raw.mapping("rope_parameters")
    nested = None if parameters is None else parameters.mapping(kind)
    theta = raw.number(old_key, default_theta)
    if nested is not None:
        return read_rope_scaling(nested, theta)
    scaling = raw.mapping("rope_scaling")
    return RopeConfig(theta=theta) if scaling is None else read_rope_scaling(scaling, theta)


FAMILY = Family(
    name="modernbert",
    prefixes=("model.",),
    default_pooling="cls",
    architectures={
        "none": "ModernBertModel",
        "token_classification": "ModernBertForTokenClassification",
        "sequence_classification": "ModernBertForSequenceClassification",
        "masked_lm": "ModernBertForMaskedLM",
    },
    read_config=read_config,
    write_config=write_config,
    read_head=read_head,
    name_rules=name_rules,
)
