"""check_recipe: what can be known to be wrong before any work is done."""

import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from mgte.errors import CheckpointError, ConfigError
from mgte.model import EncoderConfig
from mgte.train.initial_model import SCRATCH
from mgte.train.objectives import build_objective
from mgte.train.objectives.config import EmbeddingConfig, EmbeddingDistillationConfig
from mgte.train.recipe import EncoderShape, Recipe, Stage, TokenizerConfig
from mgte.train.schedule import steps_of

# What each objective reads.
DATASETS_OF: dict[str, tuple[str, ...]] = {
    "masked_lm": ("texts",),
    "contrastive": ("pairs", "groups"),
    "embedding": ("pairs", "groups"),
    "reranking": ("pairs", "groups"),
    "embedding_distillation": ("vectors",),
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_MANIFEST = "manifest.json"
# From an `init_from` outside the recipe to its encoder; None where that is not known.
LookUp = Callable[[str], EncoderConfig | None]


def check_recipe(
    recipe: Recipe, *, root: Path | None = None, look_up: LookUp | None = None
) -> None:
    """Check a recipe as a whole: each stage, and the chain that they make.

    Args:
        recipe: The recipe.
        root: Folder from which paths of data count; None leaves unprepared folders unchecked.
        look_up: Finds encoders of checkpoints that stages start from; None leaves them unchecked.

    Raises:
        ConfigError: Something cannot work; the message names the key.
    """
    if not recipe.stages:
        raise ConfigError("stages: got none, expected at least one")
    _check_start(recipe)
    limits: dict[str, tuple[int | None, int | None]] = {}
    for index, stage in enumerate(recipe.stages):
        place = f"stages.{stage.name}"
        if not _NAME.fullmatch(stage.name) or stage.name == SCRATCH:
            raise ConfigError(
                f"stages.{index}.name: got {stage.name!r}, expected letters, digits and . _ -"
            )
        if stage.name in limits:
            raise ConfigError(f"stages.{index}.name: {stage.name!r} is there twice")
        limits[stage.name] = _limits_of(recipe, stage, limits, look_up)
        _check_numbers(stage, place)
        _check_lengths(stage, place, limits[stage.name][0])
        _check_widths(stage, place, limits[stage.name][1])
        _check_objective(stage, place)
        _check_weights(stage, place)
        _check_dataset(recipe, stage, place, root)


def _check_start(recipe: Recipe) -> None:
    starts = [stage for stage in recipe.stages if stage.init_from == SCRATCH]
    if starts and recipe.encoder is None:
        raise ConfigError(f"encoder: missing, but stage {starts[0].name!r} starts from scratch")
    if recipe.encoder is not None:
        _check_shape(recipe.encoder)
    if recipe.tokenizer == "" and recipe.stages[0].init_from == SCRATCH:
        raise ConfigError("tokenizer: missing, but the first stage starts from scratch")
    _check_data(recipe)


def _check_data(recipe: Recipe) -> None:
    if isinstance(recipe.tokenizer, TokenizerConfig):
        for number, name in enumerate(recipe.tokenizer.datasets):
            if name not in recipe.datasets:
                raise _unknown(f"tokenizer.datasets.{number}", name, recipe)
        if not recipe.tokenizer.datasets:
            raise ConfigError("tokenizer.datasets: got none, expected names of datasets")
    for name, dataset in recipe.datasets.items():
        if not _NAME.fullmatch(name):
            raise ConfigError(f"datasets: got {name!r}, expected letters, digits and . _ -")
        if dataset.kind == "vectors" and not dataset.teacher:
            raise ConfigError(f"datasets.{name}.teacher: missing, expected an embedding model")


def _check_shape(shape: EncoderShape) -> None:
    if shape.num_attention_heads < 1 or shape.hidden_size % (2 * shape.num_attention_heads):
        raise ConfigError(
            f"encoder.num_attention_heads: got {shape.num_attention_heads}, expected a number that "
            f"divides hidden_size={shape.hidden_size} into even widths"
        )
    if shape.global_attn_every_n_layers < 1:
        raise ConfigError("encoder.global_attn_every_n_layers: expected at least 1")


def _limits_of(
    recipe: Recipe,
    stage: Stage,
    earlier: dict[str, tuple[int | None, int | None]],
    look_up: LookUp | None,
) -> tuple[int | None, int | None]:
    """Longest input and width of a stage's encoder; None where that is not known."""
    names = [other.name for other in recipe.stages]
    start = stage.init_from
    if start == SCRATCH and recipe.encoder is not None:
        limits: tuple[int | None, int | None] = (
            recipe.encoder.max_position_embeddings,
            recipe.encoder.hidden_size,
        )
    elif start in earlier:
        limits = earlier[start]
    elif start in names:
        raise ConfigError(
            f"stages.{stage.name}.init_from: stage {start!r} comes later, expected an earlier one"
        )
    elif not start:
        raise ConfigError(
            f"stages.{stage.name}.init_from: is empty, expected scratch, a stage or a model"
        )
    else:
        try:
            encoder = None if look_up is None else look_up(start)
        except CheckpointError as error:
            place = f"stages.{stage.name}.init_from"
            raise ConfigError(f"{place}: {error.message}", hint=error.hint) from error
        limits = (None, None) if encoder is None else (encoder.max_tokens, encoder.hidden_size)
    return (stage.encoder.max_position_embeddings or limits[0], limits[1])


def _check_numbers(stage: Stage, place: str) -> None:
    least = {
        "steps": stage.steps,
        "log_every": stage.log_every,
        "checkpoint.every_steps": stage.checkpoint.every_steps,
        "checkpoint.keep_last": stage.checkpoint.keep_last,
        "data.batches_per_step": stage.data.batches_per_step,
        "evaluation.every_steps": 1 if stage.evaluation is None else stage.evaluation.every_steps,
        "lora.rank": 1 if stage.lora is None else stage.lora.rank,
    }
    for name, number in least.items():
        if number < 1:
            raise ConfigError(f"{place}.{name}: got {number}, expected at least 1")
    rates = {"lr": stage.optimizer.lr, "head_lr": stage.optimizer.head_lr}
    for name, rate in rates.items():
        if rate is not None and not rate > 0:
            raise ConfigError(f"{place}.optimizer.{name}: got {rate}, expected above 0")
    warmup = steps_of(stage.schedule.warmup, stage.steps)
    decay = steps_of(stage.schedule.decay, stage.steps) if stage.schedule.kind == "wsd" else 0
    if warmup < 0 or decay < 0 or warmup + decay > stage.steps:
        raise ConfigError(
            f"{place}.schedule: got warm-up {warmup} and decay {decay}, expected at most "
            f"steps={stage.steps} together"
        )
    if stage.lora is not None and stage.parallel == "fsdp":
        raise ConfigError(f"{place}.parallel: got 'fsdp' with lora, expected 'ddp'")


def _check_lengths(stage: Stage, place: str, longest: int | None) -> None:
    data = stage.data
    for name in ("max_length", "max_query_length"):
        length = getattr(data, name)
        if length < 1:
            raise ConfigError(f"{place}.data.{name}: got {length}, expected at least 1")
    has_queries = stage.objective.kind in ("contrastive", "embedding", "reranking")
    need = max(data.max_length, data.max_query_length if has_queries else 0)
    # A reranker's query is a part of its input, which is cut to max_length.
    own_inputs = ["max_length"]
    if stage.objective.kind in ("contrastive", "embedding"):
        own_inputs.append("max_query_length")
    for name in own_inputs:
        length = getattr(data, name)
        if longest is not None and length > longest:
            raise ConfigError(
                f"{place}.data.{name}: got {length}, expected at most "
                f"max_position_embeddings={longest}",
                hint=f"set {place}.encoder.max_position_embeddings, or cut texts earlier",
            )
    if data.tokens_per_chunk < data.max_length:
        raise ConfigError(
            f"{place}.data.tokens_per_chunk: got {data.tokens_per_chunk}, expected at least "
            f"max_length={data.max_length}: one sequence must fit"
        )
    if need > data.tokens_per_chunk and stage.objective.kind != "reranking":
        raise ConfigError(
            f"{place}.data.tokens_per_chunk: got {data.tokens_per_chunk}, expected at least "
            f"max_query_length={data.max_query_length}: one query must fit"
        )
    ends = [bucket.up_to for bucket in data.buckets]
    if any(a >= b for a, b in pairwise(ends)):
        raise ConfigError(f"{place}.data.buckets: got up_to {ends}, expected ascending numbers")
    if ends and ends[-1] < data.max_length:
        raise ConfigError(
            f"{place}.data.buckets: end at {ends[-1]}, expected at least "
            f"max_length={data.max_length}"
        )


def _check_widths(stage: Stage, place: str, width: int | None) -> None:
    objective = stage.objective
    if not isinstance(objective, EmbeddingConfig | EmbeddingDistillationConfig):
        return
    for dim in objective.dims:
        if dim < 1 or (width is not None and dim > width):
            raise ConfigError(
                f"{place}.objective.dims: got {dim}, expected 1 to {width or 'the hidden size'}"
            )


def _check_objective(stage: Stage, place: str) -> None:
    """Settings of the objective that contradict each other, before hours of earlier stages."""
    try:
        build_objective(stage.objective)
    except ConfigError as error:
        raise ConfigError(f"{place}: {error.message}", hint=error.hint) from error


def _check_weights(stage: Stage, place: str) -> None:
    share = stage.output.start_share
    if not 0.0 <= share <= 1.0:
        raise ConfigError(f"{place}.output.start_share: got {share}, expected 0 to 1")
    if share and stage.init_from == SCRATCH:
        raise ConfigError(
            f"{place}.output.start_share: got {share}, but the stage starts from random weights"
        )
    if stage.output.weights == "last":
        return
    needs = {
        "evaluation": stage.evaluation is not None,
        "checkpoint.keep_best: true": stage.checkpoint.keep_best,
    }
    for need, is_there in needs.items():
        if not is_there:
            raise ConfigError(f"{place}.output.weights: got 'best', which needs {place}.{need}")


def _check_dataset(recipe: Recipe, stage: Stage, place: str, root: Path | None) -> None:
    name, expected = stage.data.dataset, DATASETS_OF[stage.objective.kind]
    if name in recipe.datasets:
        kind: str | None = recipe.datasets[name].kind
    elif root is None:
        return
    else:
        kind = _kind_of_folder(root / name)
        if kind is None:
            raise _unknown(f"{place}.data.dataset", name, recipe)
    if kind not in expected:
        raise ConfigError(
            f"{place}.data.dataset: {name!r} holds {kind}, expected {' or '.join(expected)} for "
            f"objective {stage.objective.kind}"
        )


def _kind_of_folder(folder: Path) -> str | None:
    try:
        manifest = json.loads((folder / _MANIFEST).read_bytes())
    except (OSError, ValueError):
        return None
    return str(manifest.get("kind")) if isinstance(manifest, dict) else None


def _unknown(place: str, name: str, recipe: Recipe) -> ConfigError:
    known = ", ".join(recipe.datasets) or "none"
    return ConfigError(
        f"{place}: no dataset {name!r}, expected one of `datasets` ({known}) or a prepared folder"
    )
