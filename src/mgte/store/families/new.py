"""The `new` family (Alibaba-NLP/new-impl) and its config, which `gte` shares.

Post-norm layers with rotary positions; `up_gate_proj` holds the multiplier first and the
activated half second, the opposite of ours.
"""

from typing import Any

from mgte.model import EncoderConfig, HeadConfig
from mgte.store.families.family import Family, NameRule, Shapes
from mgte.store.families.fields import (
    ACTIVATIONS,
    activation_name,
    classification_kind,
    classifier_dropout,
    read_labels,
    read_pad_token_id,
    read_sizes,
    read_type_vocab_size,
    write_labels,
    write_sizes,
)
from mgte.store.families.raw_config import RawConfig
from mgte.store.families.rope import read_rope, write_rope_scaling

_NORM_KINDS = {"layer_norm": "layer_norm", "rms_norm": "rms_norm"}
_POSITIONS = {"rope": "rope", "absolute": "absolute"}
DECODER = "lm_head.decoder"


def read_config(
    raw: RawConfig, *, default_theta: float = 10_000.0, default_pad: int = 0
) -> EncoderConfig:
    """Encoder settings from a config of `new` or `gte`, in any of their spellings."""
    sizes = read_sizes(raw)
    is_rope = raw.choice("position_embedding_type", _POSITIONS, "rope") == "rope"
    is_rms = raw.choice("layer_norm_type", _NORM_KINDS, "layer_norm") == "rms_norm"
    return EncoderConfig(
        **sizes,
        num_key_value_heads=sizes["num_attention_heads"],
        pad_token_id=read_pad_token_id(raw, default_pad),
        type_vocab_size=read_type_vocab_size(raw, 1),
        position_embedding_type="rope" if is_rope else "absolute",
        rope=read_rope(raw, default_theta=default_theta) if is_rope else None,
        norm_kind="rms_norm" if is_rms else "layer_norm",
        norm_eps=raw.number("layer_norm_eps", 1e-12),
        hidden_act=raw.choice("hidden_act", ACTIVATIONS, "gelu"),
        logn_attention_scale=raw.boolean("logn_attention_scale", False),
        logn_attention_clip1=raw.boolean("logn_attention_clip1", False),
        hidden_dropout_prob=raw.number("hidden_dropout_prob", 0.1),
    )


def write_config(config: EncoderConfig, head: HeadConfig) -> dict[str, Any]:
    """Keys of config.json; projections are always written packed (`pack_qkv`)."""
    if config.rope is None:
        positions: dict[str, Any] = {"position_embedding_type": "absolute"}
    else:
        positions = {
            "position_embedding_type": "rope",
            **write_rope_scaling(config.rope, config.head_dim),
        }
    return {
        **write_sizes(config),
        **positions,
        "type_vocab_size": config.type_vocab_size,
        "layer_norm_type": config.norm_kind,
        "layer_norm_eps": config.norm_eps,
        "hidden_act": activation_name(config.hidden_act),
        "hidden_dropout_prob": config.hidden_dropout_prob,
        "attention_probs_dropout_prob": 0.0,
        "classifier_dropout": head.dropout if head.kind != "none" else None,
        "logn_attention_scale": config.logn_attention_scale,
        "logn_attention_clip1": config.logn_attention_clip1,
        "pack_qkv": True,
        "unpad_inputs": False,
        "use_memory_efficient_attention": False,
        **write_labels(head),
    }


def read_head(raw: RawConfig, shapes: Shapes) -> HeadConfig:
    """The head that the checkpoint's tensors show."""
    dropout = classifier_dropout(raw, raw.number("hidden_dropout_prob", 0.1))
    if "lm_head.dense.weight" in shapes:
        return HeadConfig(
            kind="masked_lm",
            num_labels=raw.integer("vocab_size"),
            has_dense=True,
            activation="gelu",
            has_norm=True,
            is_tied=raw.boolean("tie_word_embeddings", True) or f"{DECODER}.weight" not in shapes,
        )
    if "classifier.weight" not in shapes:
        return HeadConfig()
    has_pooler = "pooler.dense.weight" in shapes
    kind = classification_kind(raw, has_pooler=has_pooler)
    labels = read_labels(raw, shapes["classifier.weight"][0])
    return HeadConfig(
        kind=kind,
        num_labels=len(labels),
        labels=labels,
        has_dense=kind == "sequence_classification",
        activation="tanh",
        dropout=dropout,
    )


def head_rules(head: HeadConfig, *, lm_norm: str) -> list[NameRule]:
    """Names of the head, which `new` and `gte` share up to one norm."""
    if head.kind == "masked_lm":
        return [
            NameRule(ours="head.dense", theirs=("lm_head.dense",), in_backbone=False),
            NameRule(ours="head.norm", theirs=(lm_norm,), in_backbone=False),
            NameRule(ours="head.output", theirs=(DECODER,), in_backbone=False),
        ]
    return [
        NameRule(ours="head.dense", theirs=("pooler.dense",)),
        NameRule(ours="head.output", theirs=("classifier",), in_backbone=False),
    ]


def embedding_rules(head: HeadConfig, *, decoder: str = DECODER) -> list[NameRule]:
    """Names of the embeddings, which `new`, `gte` and the `bert` families share."""
    copies = (decoder,) if head.is_tied else ()
    return [
        NameRule(
            ours="encoder.embeddings.word",
            theirs=("embeddings.word_embeddings",),
            copies=copies,
        ),
        NameRule(
            ours="encoder.embeddings.token_type", theirs=("embeddings.token_type_embeddings",)
        ),
        NameRule(ours="encoder.embeddings.position", theirs=("embeddings.position_embeddings",)),
        NameRule(ours="encoder.embeddings.norm", theirs=("embeddings.LayerNorm",)),
    ]


def name_rules(config: EncoderConfig, head: HeadConfig, names: frozenset[str]) -> list[NameRule]:
    """The table of names; projections are packed unless the checkpoint's are not."""
    ours, theirs = "encoder.layers.{}", "encoder.layer.{}"
    packed = (f"{theirs}.attention.qkv_proj",)
    separate = tuple(f"{theirs}.attention.{part}_proj" for part in "qkv")
    is_separate = f"{separate[0].format(0)}.weight" in names
    return [
        *embedding_rules(head),
        NameRule(ours=f"{ours}.attention.qkv", theirs=separate if is_separate else packed),
        NameRule(ours=f"{ours}.attention.out", theirs=(f"{theirs}.attention.o_proj",)),
        NameRule(ours=f"{ours}.attention_norm", theirs=(f"{theirs}.attn_ln",)),
        NameRule(
            ours=f"{ours}.mlp.in_proj", theirs=(f"{theirs}.mlp.up_gate_proj",), swap_halves=True
        ),
        NameRule(ours=f"{ours}.mlp.out_proj", theirs=(f"{theirs}.mlp.down_proj",)),
        NameRule(ours=f"{ours}.mlp_norm", theirs=(f"{theirs}.mlp_ln",)),
        *head_rules(head, lm_norm="lm_head.norm"),
    ]


FAMILY = Family(
    name="new",
    prefixes=("new.", "gte."),
    default_pooling="cls",
    architectures={
        "none": "NewModel",
        "token_classification": "NewForTokenClassification",
        "sequence_classification": "NewForSequenceClassification",
        "masked_lm": "NewForMaskedLM",
    },
    read_config=read_config,
    write_config=write_config,
    read_head=read_head,
    name_rules=name_rules,
)
