"""look_ahead: gathers what is known of a recipe's stages, and times steps of them if asked to.

Datasets and a trained tokenizer are prepared as a run would do it, in the run's folder, so that the
run need not do it again. Models are built without memory for their weights.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from mgte.data import DescribedBatch, build_loader
from mgte.errors import BackendUnavailableError, CheckpointError
from mgte.model import EncoderConfig, HeadConfig, build_model
from mgte.store import open_model
from mgte.text import Tokenizer
from mgte.train.dry_run import Machine, StageInputs, StageReport, report_stage
from mgte.train.estimate import ModelSize, measure_speed, model_size
from mgte.train.initial_model import (
    SCRATCH,
    changed_encoder,
    check_vocabulary,
    encoder_from_scratch,
    stage_head,
)
from mgte.train.input_files import absent_inputs
from mgte.train.preparation import open_prepared, prepare_datasets
from mgte.train.ready_recipe import is_here, ready_recipe
from mgte.train.recipe import CheckpointConfig, EncoderChange, Recipe, Stage, TokenizerConfig
from mgte.train.run import run_recipe
from mgte.train.run_folder import RunFolder
from mgte.train.run_options import RunOptions, located
from mgte.train.schedule import ScheduleConfig
from mgte.train.stage_building import load_config
from mgte.train.tokenizer_preparation import prepare_tokenizer
from mgte.train.world import World

# What is raised where a part is on another machine; all else a run would refuse too.
_ABSENT = (BackendUnavailableError, CheckpointError)
# The first step pays for what is set up once; the others are timed.
_TIMED_STEPS = 4
_SHOWN_CHARACTERS = 160


@dataclass(frozen=True, kw_only=True, slots=True)
class LookAhead:
    """What a recipe would take.

    Attributes:
        machine: Where it would run.
        stages: What each stage would take.
    """

    machine: Machine
    stages: tuple[StageReport, ...]


@dataclass(frozen=True, slots=True)
class _Start:
    """A model before a stage, as far as its shape goes."""

    config: EncoderConfig
    family: str
    head: HeadConfig | None


def look_ahead(
    recipe: Recipe, out: Path, *, world: World, options: RunOptions, is_timed: bool = False
) -> LookAhead:
    """Work out what a recipe would take, without training anything that is kept.

    Args:
        recipe: The recipe.
        out: Folder of the run; datasets are prepared there.
        world: The processes.
        options: Paths, teacher, what is told on the way.
        is_timed: Whether a few steps of every stage are run and timed.

    Returns:
        Reports; what is not on this machine is named there.

    Raises:
        ConfigError: The recipe cannot work, or `out` belongs to another run.
        DataError: A raw file cannot be read, or nothing is left of it.
    """
    recipe = ready_recipe(recipe, options.data_root, may_lack_starts=True)
    folder = RunFolder(out, recipe)
    folder.check()
    tokenizer, problem = _tokenizer(recipe, folder, world, options)
    precisions: set[str] = {stage.precision for stage in recipe.stages}
    device = world.device.type
    speed = {name: measure_speed(device, name) for name in sorted(precisions)}
    machine = Machine(device=device, processes=world.size, speed=speed)
    starts: dict[str, _Start] = {}
    reports = []
    for stage in recipe.stages:
        inputs = StageInputs(missing=() if problem is None else (problem,))
        if tokenizer is not None:
            inputs = _stage_inputs(stage, _Known(recipe, folder, tokenizer, world, options), starts)
        timer: Callable[[Stage], float] | None = None
        if is_timed and tokenizer is not None and inputs.summary and inputs.size:
            known = _Known(recipe, folder, tokenizer, world, options)
            timer = _timer(known, starts[stage.name].config)
        reports.append(report_stage(stage, inputs, machine, timer))
    return LookAhead(machine=machine, stages=tuple(reports))


@dataclass(frozen=True, slots=True)
class _Known:
    """What all stages share."""

    recipe: Recipe
    folder: RunFolder
    tokenizer: Tokenizer
    world: World
    options: RunOptions


def _tokenizer(
    recipe: Recipe, folder: RunFolder, world: World, options: RunOptions
) -> tuple[Tokenizer | None, str | None]:
    wanted, root = recipe.tokenizer, options.data_root
    name = wanted or recipe.stages[0].init_from
    if isinstance(wanted, TokenizerConfig):
        name = wanted.start_from
        absent = [path for key in wanted.datasets for path in _absent_of(key, recipe, root)]
        if absent and not folder.tokenizer.is_dir():
            return None, f"tokenizer (its texts: {', '.join(absent)})"
    try:
        return prepare_tokenizer(recipe, folder, world, options).tokenizer, None
    except _ABSENT as error:
        if isinstance(name, str) and name and is_here(name, root):
            raise
        return None, f"tokenizer ({error.message})"


def _absent_of(dataset: str, recipe: Recipe, root: Path) -> list[str]:
    config = recipe.datasets.get(dataset)
    return [] if config is None else absent_inputs(config, root)


def _stage_inputs(stage: Stage, known: _Known, starts: dict[str, _Start]) -> StageInputs:
    """Everything that can be found out; what is not on this machine is put into words."""
    inputs = StageInputs(missing=_absent_evaluation(stage, known.options.data_root))
    names = {other.name for other in known.recipe.stages}
    try:
        if stage.init_from in names - starts.keys():
            raise CheckpointError(f"the start of {stage.init_from!r} is not here")
        start = _start_of(stage, known, starts)
        inputs = replace(inputs, config=start.config, size=_size_of(stage, start))
        starts[stage.name] = start
    except _ABSENT as error:
        if stage.init_from not in names and is_here(stage.init_from, known.options.data_root):
            raise
        inputs = replace(inputs, missing=(*inputs.missing, f"model ({error.message})"))
    name = stage.data.dataset
    absent = _absent_of(name, known.recipe, known.options.data_root)
    if absent and not (known.folder.dataset(name) / "manifest.json").is_file():
        return replace(inputs, missing=(*inputs.missing, f"data ({', '.join(absent)})"))
    try:
        return _with_data(stage, known, inputs)
    except _ABSENT as error:
        return replace(inputs, missing=(*inputs.missing, f"data ({error.message})"))


def _with_data(stage: Stage, known: _Known, inputs: StageInputs) -> StageInputs:
    one = replace(known.recipe, stages=(stage,))
    prepare_datasets(one, known.folder, known.tokenizer, known.world, known.options)
    with build_loader(
        open_prepared(
            stage.data.dataset, known.recipe, known.folder, known.tokenizer, known.options
        ),
        stage.data,
        load_config(stage),
        tokenizer=known.tokenizer,
        seed=known.recipe.seed,
        stage=stage.name,
    ) as loader:
        summary = loader.plan.summary(stage.steps)
        first = tuple(_shown(loader.describe_first(1, num_rows=1)[0]))
    return replace(inputs, summary=summary, first=first)


def _absent_evaluation(stage: Stage, root: Path) -> tuple[str, ...]:
    folders = () if stage.evaluation is None else stage.evaluation.data
    return tuple(f"evaluation ({name})" for name in folders if not (root / name).is_dir())


def _start_of(stage: Stage, known: _Known, starts: dict[str, _Start]) -> _Start:
    """The encoder and head of a stage."""
    recipe, own = known.recipe, None
    if stage.init_from == SCRATCH and recipe.encoder is not None:
        family = str(recipe.encoder.family)
        config = encoder_from_scratch(recipe.encoder, known.tokenizer)
    elif stage.init_from in starts:
        before = starts[stage.init_from]
        config, family, own = before.config, before.family, before.head
    else:
        opened = open_model(located(stage.init_from, known.options.data_root))
        config, family, own = opened.config, opened.family, opened.head
    config = changed_encoder(config, stage.encoder, known.tokenizer, stage.name)
    check_vocabulary(config, known.tokenizer, stage.name)
    return _Start(config, family, stage_head(stage, config, family, own))


def _size_of(stage: Stage, start: _Start) -> ModelSize:
    assert start.head is not None
    with torch.device("meta"):
        model = build_model(
            start.config, start.head, pooling=stage.output.pooling or "cls", family=start.family
        )
    if stage.lora is None:
        return model_size(model)
    return model_size(model, stage.lora.rank, stage.lora.targets)


def _shown(batch: DescribedBatch) -> list[str]:
    shown = []
    for role, text in batch.texts:
        line = " ".join(text.split())
        cut = f"{line[:_SHOWN_CHARACTERS]}…" if len(line) > _SHOWN_CHARACTERS else line
        shown.append(f"{role}: {cut}")
    return shown


def _timer(known: _Known, config: EncoderConfig) -> Callable[[Stage], float]:
    """Runs a stage for a few steps in a folder that is thrown away.

    The stage starts where its chain starts: what its weights are makes no difference to time.
    """

    def time_step(stage: Stage) -> float:
        stamps: list[float] = []

        def note(record: dict[str, Any]) -> None:
            if record["kind"] == "step":
                stamps.append(time.perf_counter())

        recipe = _timed_recipe(stage, known, config)
        options = replace(known.options, sinks=(note,), evaluators=(), report=None)
        with TemporaryDirectory(prefix="mgte-") as folder:
            run_recipe(recipe, folder, world=known.world, options=options)
        return (stamps[-1] - stamps[0]) / (len(stamps) - 1)

    return time_step


def _timed_recipe(stage: Stage, known: _Known, config: EncoderConfig) -> Recipe:
    names = {other.name: other for other in known.recipe.stages}
    first = stage
    while first.init_from in names:
        first = names[first.init_from]
    dataset = stage.data.dataset
    if dataset in known.recipe.datasets:
        dataset = str(known.folder.dataset(dataset).resolve())
    tokenizer = known.recipe.tokenizer
    timed = replace(
        stage,
        init_from=first.init_from,
        encoder=EncoderChange(
            max_position_embeddings=config.max_position_embeddings,
            vocabulary=first.encoder.vocabulary,
        ),
        data=replace(stage.data, dataset=dataset),
        schedule=ScheduleConfig(kind="constant", warmup=0),
        steps=_TIMED_STEPS,
        checkpoint=CheckpointConfig(every_steps=_TIMED_STEPS),
        evaluation=None,
        log_every=1,
    )
    return replace(
        known.recipe,
        stages=(timed,),
        tokenizer=tokenizer if isinstance(tokenizer, str) and tokenizer else _folder_of(known),
        datasets={},
    )


def _folder_of(known: _Known) -> str:
    """Where the tokenizer of the run is."""
    if not isinstance(known.recipe.tokenizer, str):
        return str(known.folder.tokenizer.resolve())
    return located(known.recipe.stages[0].init_from, known.options.data_root)
