"""merge_models: one model from several of the same shape, by arithmetic on their weights."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from mgte.errors import CheckpointError, ConfigError
from mgte.store.checkpoint_files import read_json_object
from mgte.store.families import FAMILIES
from mgte.store.hub import resolve_model
from mgte.store.merge_rules import linear, slerp, ties_vector, trim_threshold
from mgte.store.model_dir import LoadedModel, ModelDir, load_weights, open_model
from mgte.store.save import SaveFormat, save_model
from mgte.store.side_files import EmbeddingSettings
from mgte.store.stale_files import SIDE_FILES
from mgte.store.training_facts import TrainingFacts

MergeMethod = Literal["linear", "slerp", "ties"]
MERGE_METHODS: tuple[MergeMethod, ...] = ("linear", "slerp", "ties")

# Key of the facts' notes: settings in which the models differ.
TAKEN_FROM_FIRST = "differ, taken from the first"

_HALF_TYPES = {"F16": torch.float16, "BF16": torch.bfloat16}
# Settings that have no part in what the weights mean.
_MAY_DIFFER = ("hidden_dropout_prob", "dropout", "labels")
# Settings that the weights were trained with; without them the vectors are others.
_MUST_AGREE = ("pooling", "normalize", "similarity", "lowercase")
# Settings of use, which the first model decides.
_FROM_FIRST = ("prompts", "default_prompt_name", "max_length")
# What a tokenizer file says beside the tokenizer itself.
_TOKENIZER_STATE = ("truncation", "padding")


def merge_models(
    models: Sequence[str | Path],
    out: str | Path,
    *,
    method: MergeMethod = "linear",
    weights: Sequence[float] | None = None,
    base: str | Path | None = None,
    density: float = 0.2,
    format: SaveFormat | None = None,
) -> Path:
    """Merge models that have the same shape, tokenizer and head, and make vectors the same way.

    Args:
        models: Folders, known names or hub ids; at least two.
        out: Folder to write, none of the models. Tokenizer, prompts and limits come from the first
            model; where others differ in prompts or limits, the card says so.
        method: "linear" averages. "slerp" walks from the first of two models to the second on the
            sphere, tensor by tensor. "ties" adds to `base` what the models agree on: each model's
            change is trimmed to its largest entries, signs are elected, entries of the elected
            sign are averaged.
        weights: One per model, above or at 0, not all 0; None means equal ones. For "slerp" the
            second one's share of the sum says how far to walk.
        base: Model that the others were trained from; "ties" needs it, others refuse it.
        density: Share of each model's changes that "ties" keeps.
        format: As in `save_model`; None means that of the first model's folder. "transformers" and
            "new" have no place for pooling, prompts and limits.

    Returns:
        The folder.

    Raises:
        ConfigError: A setting is unknown or out of range, the models do not fit together, or the
            format has no place for what sets their pooling apart from the family's.
        CheckpointError: A model cannot be loaded, or the tokenizers differ.

    Source: model soups, arXiv 2203.05482; SLERP, Shoemake 1985; TIES, arXiv 2306.01708.
    """
    shares = _checked_weights(models, weights, method, base, density)
    opened = [open_model(model) for model in models]
    origin = open_model(base) if base is not None else None
    for other in [*opened[1:], *([origin] if origin else [])]:
        _check_alike(opened[0], other)
    for other in opened[1:]:
        _check_settings(opened[0], other)
    format = format or _format_of(models[0])
    _check_kept(opened[0], format)
    if any(folder.path.resolve() == Path(out).resolve() for folder in (*opened, origin) if folder):
        raise ConfigError(f"out: got {out}, which is one of the models, expected another folder")
    loaded = [load_weights(folder) for folder in opened]
    states = [one.model.state_dict() for one in loaded]
    with torch.no_grad():
        if method == "linear":
            merged = {n: linear([state[n] for state in states], shares) for n in states[0]}
        elif method == "slerp":
            share = shares[1] / sum(shares)
            merged = {n: slerp(states[0][n], states[1][n], share) for n in states[0]}
        else:
            start = load_weights(origin).model.state_dict() if origin else {}
            merged = _ties(start, states, shares, density)
    return _save(loaded[0], merged, out, format, _facts(opened, origin, method, shares, density))


def _ties(
    start: dict[str, Tensor],
    states: Sequence[dict[str, Tensor]],
    shares: Sequence[float],
    density: float,
) -> dict[str, Tensor]:
    # The largest changes of a whole model are kept, not of each tensor: tensors that hardly moved
    # give way to those that did.
    thresholds = [
        trim_threshold([state[name] - start[name] for name in start], density) for state in states
    ]
    return {
        name: start[name]
        + ties_vector([state[name] - start[name] for state in states], shares, thresholds)
        for name in start
    }


def _checked_weights(
    models: Sequence[str | Path],
    weights: Sequence[float] | None,
    method: str,
    base: str | Path | None,
    density: float,
) -> list[float]:
    if method not in MERGE_METHODS:
        raise ConfigError(f"method: got {method!r}, expected one of {', '.join(MERGE_METHODS)}")
    if len(models) < 2 or (method == "slerp" and len(models) != 2):
        wanted = "two" if method == "slerp" else "at least two"
        raise ConfigError(f"models: got {len(models)}, expected {wanted} for {method}")
    if (base is not None) != (method == "ties"):
        got = "none" if base is None else str(base)
        raise ConfigError(
            f"base: got {got} for {method}, expected one for ties only",
            hint="the base of ties is the model that the others were trained from",
        )
    if not 0.0 < density <= 1.0:
        raise ConfigError(f"density: got {density}, expected above 0 and at most 1")
    shares = [1.0] * len(models) if weights is None else [float(weight) for weight in weights]
    is_finite = all(0.0 <= share < float("inf") for share in shares)
    if len(shares) != len(models) or not is_finite or not any(shares):
        raise ConfigError(
            f"weights: got {shares}, expected {len(models)} numbers from 0 on, not all 0"
        )
    return shares


def _check_alike(first: ModelDir, other: ModelDir) -> None:
    pairs: list[tuple[str, Any, Any]] = [
        ("encoder", first.config, other.config),
        ("head", first.head, other.head),
    ]
    for part, mine, theirs in pairs:
        different = [
            field.name
            for field in fields(mine)
            if field.name not in _MAY_DIFFER
            and getattr(mine, field.name) != getattr(theirs, field.name)
        ]
        if different:
            name = different[0]
            raise ConfigError(
                f"{other.name}: {part} setting {name} is {getattr(theirs, name)!r}, expected "
                f"{getattr(mine, name)!r} as in {first.name}"
            )
    if _tokenizer(first) != _tokenizer(other):
        raise CheckpointError(
            f"{other.name}: its tokenizer differs from that of {first.name}, expected the same",
            hint="a token id must mean the same in all models",
        )


def _check_settings(first: ModelDir, other: ModelDir) -> None:
    for name in _MUST_AGREE:
        mine, theirs = getattr(first.settings, name), getattr(other.settings, name)
        if mine != theirs:
            raise ConfigError(
                f"{other.name}: {name} is {theirs!r}, expected {mine!r} as in {first.name}"
            )


def _check_kept(first: ModelDir, format: SaveFormat) -> None:
    """A folder without side files is read with the defaults of its family."""
    default = EmbeddingSettings(pooling=FAMILIES[first.family].default_pooling)
    for name in _MUST_AGREE if format != "sentence-transformers" else ():
        value = getattr(first.settings, name)
        if value != getattr(default, name):
            raise ConfigError(
                f"format: got {format!r}, which has no place for {name} {value!r} of {first.name}, "
                "expected 'sentence-transformers'"
            )


def _format_of(model: str | Path) -> SaveFormat:
    """The format that has a place for all that the model's folder says."""
    folder = resolve_model(model)
    has_side_files = any((folder / name).is_file() for name in SIDE_FILES)
    return "sentence-transformers" if has_side_files else "transformers"


def _tokenizer(folder: ModelDir) -> dict[str, Any] | None:
    if folder.tokenizer_file is None:
        return None
    values = read_json_object(folder.tokenizer_file)
    return {name: value for name, value in values.items() if name not in _TOKENIZER_STATE}


def _facts(
    opened: Sequence[ModelDir],
    origin: ModelDir | None,
    method: str,
    shares: Sequence[float],
    density: float,
) -> TrainingFacts:
    parts = [f"{share:g} x {folder.name}" for share, folder in zip(shares, opened, strict=True)]
    notes = {"merged by": method, "from": ", ".join(parts)}
    if origin is not None:
        notes |= {"relative to": origin.name, "density": f"{density:g}"}
    first = opened[0].settings
    differing = [
        name
        for name in _FROM_FIRST
        if any(getattr(folder.settings, name) != getattr(first, name) for folder in opened[1:])
    ]
    if differing:
        notes[TAKEN_FROM_FIRST] = ", ".join(differing)
    return TrainingFacts(notes=notes)


def _save(
    template: LoadedModel,
    merged: dict[str, Tensor],
    out: str | Path,
    format: SaveFormat,
    facts: TrainingFacts,
) -> Path:
    model = template.model
    model.load_state_dict(merged, assign=True)
    model.to(_HALF_TYPES.get(template.model_dir.dtype, torch.float32))
    return save_model(model, out, format, facts=facts)
