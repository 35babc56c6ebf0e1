"""The `bert`, `roberta` and `xlm-roberta` families: post-norm, plain MLP, absolute positions."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from mgte.model import EncoderConfig, HeadConfig, HeadKind
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
from mgte.store.families.new import embedding_rules
from mgte.store.families.raw_config import RawConfig

_BERT_LM = "cls.predictions"
_ROBERTA_LM = "lm_head"


def read_config(raw: RawConfig, *, is_roberta: bool) -> EncoderConfig:
    """Encoder settings; RoBERTa kinds count positions from the padding id + 1.

    Args:
        raw: The config.json.
        is_roberta: Whether it is of the RoBERTa kinds.

    Returns:
        The settings.

    Raises:
        ConfigError: The checkpoint is a decoder or has relative positions.
    """
    sizes = read_sizes(raw)
    raw.choice("position_embedding_type", {"absolute": "absolute"}, "absolute")
    for key in ("is_decoder", "add_cross_attention"):
        if raw.boolean(key, False):
            raise raw.error(key, True, "false: this is an encoder")
    pad = read_pad_token_id(raw, 1 if is_roberta else 0)
    return EncoderConfig(
        **sizes,
        num_key_value_heads=sizes["num_attention_heads"],
        pad_token_id=pad,
        type_vocab_size=read_type_vocab_size(raw, 2),
        position_embedding_type="absolute",
        position_offset=pad + 1 if is_roberta else 0,
        norm_eps=raw.number("layer_norm_eps", 1e-12),
        hidden_act=raw.choice("hidden_act", ACTIVATIONS, "gelu"),
        gated_mlp=False,
        mlp_in_bias=True,
        hidden_dropout_prob=raw.number("hidden_dropout_prob", 0.1),
    )


def write_config(config: EncoderConfig, head: HeadConfig) -> dict[str, Any]:
    """Keys of config.json."""
    return {
        **write_sizes(config),
        "position_embedding_type": "absolute",
        "type_vocab_size": config.type_vocab_size,
        "layer_norm_eps": config.norm_eps,
        "hidden_act": activation_name(config.hidden_act),
        "hidden_dropout_prob": config.hidden_dropout_prob,
        "attention_probs_dropout_prob": config.hidden_dropout_prob,
        "classifier_dropout": head.dropout if head.kind != "none" else None,
        "tie_word_embeddings": head.kind != "masked_lm" or head.is_tied,
        **write_labels(head),
    }


def read_head(raw: RawConfig, shapes: Shapes, *, is_roberta: bool) -> HeadConfig:
    """The head that the checkpoint's tensors show; a bare checkpoint keeps its pooler."""
    lm = _ROBERTA_LM if is_roberta else _BERT_LM
    transform = f"{lm}.dense" if is_roberta else f"{lm}.transform.dense"
    if f"{transform}.weight" in shapes:
        return HeadConfig(
            kind="masked_lm",
            num_labels=raw.integer("vocab_size"),
            has_dense=True,
            activation="gelu" if is_roberta else raw.choice("hidden_act", ACTIVATIONS, "gelu"),
            has_norm=True,
            is_tied=raw.boolean("tie_word_embeddings", True)
            or f"{lm}.decoder.weight" not in shapes,
        )
    classifier, pooler = "classifier.weight", "pooler.dense.weight"
    if is_roberta and "classifier.out_proj.weight" in shapes:
        classifier = pooler = "classifier.out_proj.weight"
    if classifier not in shapes:
        return HeadConfig(has_dense=pooler in shapes, activation="tanh")
    kind = classification_kind(raw, has_pooler=pooler in shapes)
    if is_roberta and pooler != classifier:
        # A RoBERTa pooler is never read by its classifier: both stand in some old checkpoints.
        kind = "token_classification"
    labels = read_labels(raw, shapes[classifier][0])
    return HeadConfig(
        kind=kind,
        num_labels=len(labels),
        labels=labels,
        has_dense=kind == "sequence_classification",
        activation="tanh",
        dropout=classifier_dropout(raw, raw.number("hidden_dropout_prob", 0.1)),
    )


def name_rules(
    config: EncoderConfig, head: HeadConfig, names: frozenset[str], *, is_roberta: bool
) -> list[NameRule]:
    """The table of names; there is one layout only."""
    ours, theirs = "encoder.layers.{}", "encoder.layer.{}"
    lm = _ROBERTA_LM if is_roberta else _BERT_LM
    return [
        *embedding_rules(head, decoder=f"{lm}.decoder"),
        NameRule(
            ours=f"{ours}.attention.qkv",
            theirs=tuple(f"{theirs}.attention.self.{part}" for part in ("query", "key", "value")),
        ),
        NameRule(ours=f"{ours}.attention.out", theirs=(f"{theirs}.attention.output.dense",)),
        NameRule(ours=f"{ours}.attention_norm", theirs=(f"{theirs}.attention.output.LayerNorm",)),
        NameRule(ours=f"{ours}.mlp.in_proj", theirs=(f"{theirs}.intermediate.dense",)),
        NameRule(ours=f"{ours}.mlp.out_proj", theirs=(f"{theirs}.output.dense",)),
        NameRule(ours=f"{ours}.mlp_norm", theirs=(f"{theirs}.output.LayerNorm",)),
        *_head_rules(head, lm, is_roberta=is_roberta),
    ]


def _head_rules(head: HeadConfig, lm: str, *, is_roberta: bool) -> list[NameRule]:
    if head.kind == "masked_lm":
        dense, norm = (
            ("dense", "layer_norm")
            if is_roberta
            else (
                "transform.dense",
                "transform.LayerNorm",
            )
        )
        return [
            NameRule(ours="head.dense", theirs=(f"{lm}.{dense}",), in_backbone=False),
            NameRule(ours="head.norm", theirs=(f"{lm}.{norm}",), in_backbone=False),
            NameRule(
                ours="head.output.weight", theirs=(f"{lm}.decoder.weight",), in_backbone=False
            ),
            NameRule(
                ours="head.output.bias",
                theirs=(f"{lm}.bias",),
                in_backbone=False,
                copies=(f"{lm}.decoder.bias",),
            ),
        ]
    if is_roberta and head.kind == "sequence_classification":
        return [
            NameRule(ours="head.dense", theirs=("classifier.dense",), in_backbone=False),
            NameRule(ours="head.output", theirs=("classifier.out_proj",), in_backbone=False),
        ]
    return [
        NameRule(ours="head.dense", theirs=("pooler.dense",)),
        NameRule(ours="head.output", theirs=("classifier",), in_backbone=False),
    ]


def _family(name: str, prefix: str, classes: str, *, is_roberta: bool) -> Family:
    architectures: Mapping[HeadKind, str] = {
        "none": f"{classes}Model",
        "token_classification": f"{classes}ForTokenClassification",
        "sequence_classification": f"{classes}ForSequenceClassification",
        "masked_lm": f"{classes}ForMaskedLM",
    }
    return Family(
        name=name,
        prefixes=(prefix,),
        # As sentence-transformers takes a folder without side files.
        default_pooling="mean",
        architectures=architectures,
        read_config=partial(read_config, is_roberta=is_roberta),
        write_config=write_config,
        read_head=partial(read_head, is_roberta=is_roberta),
        name_rules=partial(name_rules, is_roberta=is_roberta),
        # The pooler beside another head, and the next-sentence head of the first BERTs.
        unused=(r"pooler\.dense\.(weight|bias)", r"cls\.seq_relationship\.(weight|bias)"),
        renames=((".gamma", ".weight"), (".beta", ".bias")),
    )


FAMILIES = (
    _family("bert", "bert.", "Bert", is_roberta=False),
    _family("xlm-roberta", "roberta.", "XLMRoberta", is_roberta=True),
    _family("roberta", "roberta.", "Roberta", is_roberta=True),
)
