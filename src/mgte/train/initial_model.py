"""The model that a stage starts with: from nothing, from an earlier stage, or from a checkpoint.

1. The encoder's settings: those of the start, with the stage's changes.
2. The head that the objective needs: the start's own where it has one, else a fresh one.
3. Weights: drawn by (seed, stage), then replaced by those that the start has.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from mgte.config import from_dict
from mgte.data import mix_seed
from mgte.errors import ConfigError
from mgte.model import (
    EmbeddingModel,
    EncoderConfig,
    HeadConfig,
    HeadKind,
    Model,
    RopeConfig,
    build_model,
    init_weights,
)
from mgte.store import EmbeddingSettings, load_weights, open_model
from mgte.text import Tokenizer
from mgte.train.objectives.config import EmbeddingConfig, MaskedLMConfig, RerankingConfig
from mgte.train.recipe import EncoderChange, EncoderShape, Stage
from mgte.train.token_transfer import transfer_tokens

SCRATCH = "scratch"
# Beside a stage's model folder: the encoder as it was trained, which the folder need not say
# (another NTK factor at inference).
TRAINED_ENCODER = "encoder.json"
_VOCABULARY_MULTIPLE = 64
# Type of weights that are as training left them.
_WHOLE = "F32"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class InitialModel:
    """A model before its first step.

    Attributes:
        model: The model on the CPU, float32, in training mode.
        fresh: Names of parameters that start from random weights.
        settings: How the start is used, by its folder; None from scratch.
        notes: What a reader of the log should know of the start.
    """

    model: Model
    fresh: frozenset[str]
    settings: EmbeddingSettings | None = None
    notes: tuple[str, ...] = ()


def initial_model(
    stage: Stage, *, seed: int, tokenizer: Tokenizer, start: str | Path | EncoderShape
) -> InitialModel:
    """Build the model of a stage.

    Args:
        stage: The stage.
        seed: Seed of the run.
        tokenizer: The tokenizer; its special tokens get no sparse weight.
        start: Shape of an encoder from scratch, or a model folder, known name or hub id.

    Returns:
        The model; the same every time it is built.

    Raises:
        ConfigError: The stage asks for what its start does not allow.
        CheckpointError: The start cannot be loaded.
    """
    source, old, settings = None, None, None
    notes: tuple[str, ...] = ()
    if isinstance(start, EncoderShape):
        family = str(start.family)
        config = encoder_from_scratch(start, tokenizer)
    else:
        opened = open_model(start)
        settings = opened.settings
        if opened.dtype != _WHOLE:
            notes = (f"starts from weights that its start keeps rounded, as {opened.dtype}",)
        source = load_weights(opened).model
        family = source.family
        config = _trained_config(Path(start)) or source.config
        if stage.encoder.vocabulary == "transfer":
            old = Tokenizer.load(opened.path, lowercase=opened.settings.lowercase)
    config = changed_encoder(config, stage.encoder, tokenizer, stage.name)
    check_vocabulary(config, tokenizer, stage.name)
    head = stage_head(stage, config, family, None if source is None else source.head_config)
    pooling = stage.output.pooling or ("cls" if settings is None else settings.pooling)
    model = build_model(config, head, pooling=pooling, family=family)
    generator = torch.Generator().manual_seed(mix_seed(seed, stage.name, "weights"))
    init_weights(model, config, generator=generator)
    fresh = _take_weights(model, source)
    if source is not None:
        fresh -= _fill_positions(model, source)
        if old is not None:
            fresh -= _fill_vocabulary(model, source, old, tokenizer)
    if isinstance(model, EmbeddingModel):
        model.skip_ids = tuple(sorted(tokenizer.special_ids))
    return InitialModel(model=model.train(), fresh=fresh, settings=settings, notes=notes)


def encoder_from_scratch(shape: EncoderShape, tokenizer: Tokenizer) -> EncoderConfig:
    """Settings of a new encoder for a tokenizer.

    Args:
        shape: Its shape.
        tokenizer: Gives vocabulary and padding token; the table is padded to a multiple of 64.

    Returns:
        The settings, as the family's checkpoints have them.
    """
    sizes: dict[str, Any] = {
        "vocab_size": _table_rows(tokenizer),
        "hidden_size": shape.hidden_size,
        "num_hidden_layers": shape.num_hidden_layers,
        "num_attention_heads": shape.num_attention_heads,
        "num_key_value_heads": shape.num_attention_heads,
        "head_dim": shape.hidden_size // shape.num_attention_heads,
        "intermediate_size": shape.intermediate_size,
        "max_position_embeddings": shape.max_position_embeddings,
        "pad_token_id": tokenizer.pad_id,
        "hidden_dropout_prob": shape.hidden_dropout_prob,
        "initializer_range": shape.initializer_range,
        "rope": RopeConfig(theta=shape.rope_theta),
    }
    if shape.family == "gte":
        return EncoderConfig(**sizes, type_vocab_size=shape.type_vocab_size)
    every = shape.global_attn_every_n_layers
    local = tuple(layer for layer in range(shape.num_hidden_layers) if layer % every)
    return EncoderConfig(
        **sizes,
        local_rope=RopeConfig() if local else None,
        local_window=shape.local_attention // 2 if local else 0,
        local_layers=local,
        norm_position="pre",
        norm_eps=1e-5,
        norm_bias=False,
        first_attention_norm=False,
        final_norm=True,
        qkv_bias=False,
        attention_out_bias=False,
        mlp_in_bias=False,
        mlp_out_bias=False,
    )


def changed_encoder(
    config: EncoderConfig, change: EncoderChange, tokenizer: Tokenizer, stage: str
) -> EncoderConfig:
    """The encoder's settings with a stage's changes.

    A new base of the rotary positions drops all scaling that the start's had. Local layers keep
    theirs.

    Args:
        config: Settings of the start.
        change: The changes.
        tokenizer: The tokenizer of the stage; of use where the vocabulary is transferred.
        stage: Name of the stage, for messages.

    Returns:
        The new settings.

    Raises:
        ConfigError: The start has no rotary positions, and they are to change; or learned
            positions that are to become fewer, or that depend on another padding token.
    """
    where = f"stages.{stage}.encoder"
    if config.rope is None:
        for name in ("rope_theta", "rope_ntk_factor"):
            if getattr(change, name) is not None:
                raise ConfigError(
                    f"{where}.{name}: the start has learned positions, expected one with rotary "
                    "positions"
                )
        _check_learned_positions(config, change, where)
    if change.vocabulary == "transfer":
        if config.position_offset and tokenizer.pad_id != config.pad_token_id:
            raise ConfigError(
                f"{where}.vocabulary: the start counts positions from its padding token "
                f"{config.pad_token_id}, but the tokenizer's is {tokenizer.pad_id}; expected equal"
            )
        rows = _table_rows(tokenizer)
        config = replace(config, vocab_size=rows, pad_token_id=tokenizer.pad_id)
    rope = config.rope
    if rope is not None and change.rope_theta is not None:
        rope = RopeConfig(theta=change.rope_theta)
    if rope is not None and change.rope_ntk_factor is not None:
        rope = replace(rope, ntk_factor=change.rope_ntk_factor)
    plain = {
        name: getattr(change, name)
        for name in ("max_position_embeddings", "hidden_dropout_prob")
        if getattr(change, name) is not None
    }
    return replace(config, rope=rope, **plain)


def _check_learned_positions(config: EncoderConfig, change: EncoderChange, where: str) -> None:
    new, old = change.max_position_embeddings, config.max_position_embeddings
    if new is not None and new < old:
        raise ConfigError(
            f"{where}.max_position_embeddings: got {new:,}, but the start has {old:,} learned "
            "positions; expected as many or more",
            hint="output.max_length limits the length at use",
        )


def _table_rows(tokenizer: Tokenizer) -> int:
    return -(-tokenizer.vocab_size // _VOCABULARY_MULTIPLE) * _VOCABULARY_MULTIPLE


def needed_head(stage: Stage) -> HeadKind:
    """Kind of head that a stage's objective cannot do without."""
    if isinstance(stage.objective, MaskedLMConfig):
        return "masked_lm"
    if isinstance(stage.objective, RerankingConfig):
        return "sequence_classification"
    wants_sparse = isinstance(stage.objective, EmbeddingConfig) and (
        stage.objective.sparse_weight > 0 or stage.objective.sparse_distillation_weight > 0
    )
    return "token_classification" if wants_sparse else "none"


def _trained_config(folder: Path) -> EncoderConfig | None:
    """The encoder as an earlier stage trained it, if the folder is a stage's."""
    path = folder.parent / TRAINED_ENCODER
    if not path.is_file():
        return None
    return from_dict(EncoderConfig, json.loads(path.read_text("utf-8")), str(path))


def check_vocabulary(config: EncoderConfig, tokenizer: Tokenizer, stage: str) -> None:
    """Refuse an encoder that does not know all tokens.

    Args:
        config: Its settings.
        tokenizer: The tokenizer of the stage.
        stage: Name of the stage, for messages.

    Raises:
        ConfigError: The tokenizer has more tokens than the encoder.
    """
    if tokenizer.vocab_size > config.vocab_size:
        raise ConfigError(
            f"stages.{stage}.init_from: knows {config.vocab_size:,} tokens, but the tokenizer has "
            f"{tokenizer.vocab_size:,}; expected a start that was made with this tokenizer"
        )


def stage_head(
    stage: Stage, config: EncoderConfig, family: str, own: HeadConfig | None
) -> HeadConfig:
    """The start's head where it is of use, else a new one as the family's checkpoints have it."""
    kind = needed_head(stage)
    if own is not None and own.kind == "masked_lm" and stage.encoder.vocabulary == "transfer":
        # It scores the entries of the old vocabulary.
        own = None
    is_sparse = own is not None and own.kind == "token_classification" and own.num_labels == 1
    if own is not None:
        if kind == "masked_lm" and own.kind == kind:
            return own
        if kind == "sequence_classification" and own.kind == kind and own.num_labels == 1:
            return own
        if kind in ("none", "token_classification") and is_sparse:
            return own
    if kind == "none":
        return HeadConfig()
    if family == "qwen2":
        raise ConfigError(
            f"stages.{stage.name}.objective.kind: needs a head of kind {kind}, which family qwen2 "
            "does not have; expected contrastive, or embedding with sparse_weight 0"
        )
    # Every head of ModernBERT has the same transform; the others have one where they need it.
    has_transform = family == "modernbert" or kind == "masked_lm"
    return HeadConfig(
        kind=kind,
        num_labels=config.vocab_size if kind == "masked_lm" else 1,
        labels=() if kind == "masked_lm" else ("LABEL_0",),
        pooling="mean" if stage.output.pooling == "mean" and family == "modernbert" else "cls",
        has_dense=has_transform or kind == "sequence_classification",
        dense_bias=family != "modernbert",
        activation="gelu" if has_transform else "tanh",
        has_norm=has_transform,
        norm_bias=family != "modernbert",
        is_tied=kind == "masked_lm",
    )


def _take_weights(model: Model, source: Model | None) -> frozenset[str]:
    """Copy what the start has in the same shape; names of what it does not have."""
    own = dict(model.named_parameters())
    keeps_head = source is not None and source.head_config == model.head_config
    taken = {
        name: parameter
        for name, parameter in ([] if source is None else source.named_parameters())
        if name in own
        and parameter.shape == own[name].shape
        and (keeps_head or name.startswith("encoder."))
    }
    with torch.no_grad():
        for name, parameter in taken.items():
            own[name].copy_(parameter)
    return frozenset(own.keys() - taken.keys())


def _fill_vocabulary(model: Model, source: Model, old: Tokenizer, new: Tokenizer) -> frozenset[str]:
    """Token vectors of another tokenizer; the name of their table."""
    table = model.encoder.embeddings.word.weight
    with torch.no_grad():
        before = source.encoder.embeddings.word.weight
        table.copy_(transfer_tokens(before, old, new, rows=table.shape[0]))
    return frozenset({"encoder.embeddings.word.weight"})


def _fill_positions(model: Model, source: Model) -> frozenset[str]:
    """Learned positions beyond the start's last one begin again with its first; their name.

    Attention then finds its neighbours at once, as they lie as far apart as before.
    Source: Beltagy et al. 2020, Longformer, section 5.
    """
    own, start = model.encoder.embeddings.position, source.encoder.embeddings.position
    if own is None or start is None or own.weight.shape == start.weight.shape:
        return frozenset()
    offset = source.config.position_offset
    rows = torch.arange(own.weight.shape[0])
    period = start.weight.shape[0] - offset
    rows = torch.where(rows < offset, rows, offset + (rows - offset) % period)
    with torch.no_grad():
        own.weight.copy_(start.weight[rows])
    return frozenset({"encoder.embeddings.position.weight"})
