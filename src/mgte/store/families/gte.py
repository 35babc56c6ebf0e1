"""The `gte` family: the same encoder under the names that transformers gives it since 5.19.

Folders with `model_type` "gte" come in two layouts: transformers' own names, and the names of
`new`, which transformers' `save_pretrained` and Snowflake's arctic-embed-m-v2.0 write. The
checkpoint's names decide.
"""

from typing import Any

from mgte.errors import ConfigError
from mgte.model import EncoderConfig, HeadConfig
from mgte.store.families import new
from mgte.store.families.family import Family, NameRule
from mgte.store.families.fields import activation_name, write_labels, write_sizes
from mgte.store.families.raw_config import RawConfig
from mgte.store.families.rope import write_rope_parameters


def read_config(raw: RawConfig) -> EncoderConfig:
    """Encoder settings; defaults are those of transformers' GteConfig."""
    return new.read_config(raw, default_theta=160_000.0, default_pad=1)


def write_config(config: EncoderConfig, head: HeadConfig) -> dict[str, Any]:
    """Keys of config.json as transformers reads them.

    Args:
        config: The encoder's settings.
        head: The head's settings.

    Returns:
        The keys.

    Raises:
        ConfigError: The settings hold what transformers' GTE does not have.
    """
    hint = 'save with format="new"'
    if config.rope is None:
        raise ConfigError(
            "position_embedding_type: got 'absolute', expected 'rope' for format 'gte'", hint=hint
        )
    if config.norm_kind != "layer_norm":
        raise ConfigError(
            f"norm_kind: got {config.norm_kind!r}, expected 'layer_norm' for format 'gte'",
            hint=hint,
        )
    if config.logn_attention_scale:
        raise ConfigError(
            "logn_attention_scale: got true, expected false for format 'gte'", hint=hint
        )
    return {
        **write_sizes(config),
        "rope_parameters": write_rope_parameters(config.rope, config.head_dim),
        "type_vocab_size": config.type_vocab_size,
        "layer_norm_eps": config.norm_eps,
        "hidden_act": activation_name(config.hidden_act),
        "hidden_dropout_prob": config.hidden_dropout_prob,
        "attention_probs_dropout_prob": 0.0,
        "classifier_dropout": head.dropout if head.kind != "none" else None,
        "tie_word_embeddings": head.kind != "masked_lm" or head.is_tied,
        **write_labels(head),
    }


def name_rules(config: EncoderConfig, head: HeadConfig, names: frozenset[str]) -> list[NameRule]:
    """The table of names: transformers' unless the checkpoint has those of `new`."""
    if any(name.startswith("encoder.layer.") for name in names):
        return new.name_rules(config, head, names)
    ours, theirs = "encoder.layers.{}", "layers.{}"
    return [
        *new.embedding_rules(head),
        NameRule(
            ours=f"{ours}.attention.qkv",
            theirs=tuple(f"{theirs}.self_attn.{part}_proj" for part in "qkv"),
        ),
        NameRule(ours=f"{ours}.attention.out", theirs=(f"{theirs}.self_attn.o_proj",)),
        NameRule(ours=f"{ours}.attention_norm", theirs=(f"{theirs}.post_attention_layernorm",)),
        NameRule(
            ours=f"{ours}.mlp.in_proj",
            theirs=(f"{theirs}.mlp.gate_proj", f"{theirs}.mlp.up_proj"),
        ),
        NameRule(ours=f"{ours}.mlp.out_proj", theirs=(f"{theirs}.mlp.down_proj",)),
        NameRule(ours=f"{ours}.mlp_norm", theirs=(f"{theirs}.post_mlp_layernorm",)),
        *new.head_rules(head, lm_norm="lm_head.layer_norm"),
    ]


FAMILY = Family(
    name="gte",
    prefixes=("gte.", "new."),
    default_pooling="cls",
    architectures={
        "none": "GteModel",
        "token_classification": "GteForTokenClassification",
        "sequence_classification": "GteForSequenceClassification",
        "masked_lm": "GteForMaskedLM",
    },
    read_config=read_config,
    write_config=write_config,
    read_head=new.read_head,
    name_rules=name_rules,
)
