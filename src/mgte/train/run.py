"""run_recipe: stages one after the other, each ending in a model folder.

1. Check the recipe; claim the folder.
2. Tokenizer and datasets, by the first process; the others wait.
3. Per stage that is not done: model -> loader -> objective -> `run_stage` -> model folder -> DONE.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError

from mgte.config import from_dict, override, read_yaml, to_dict
from mgte.data import build_loader, mix_seed
from mgte.errors import TrainingError
from mgte.store import StageFacts, TrainingFacts, open_model, read_training_facts
from mgte.text import Tokenizer
from mgte.train.checks import check_recipe
from mgte.train.environment import write_environment
from mgte.train.initial_model import SCRATCH
from mgte.train.loop import run_stage
from mgte.train.lora import add_adapters, plain_weights
from mgte.train.metrics import ConsoleSink
from mgte.train.optimizer import build_optimizer
from mgte.train.parallel import spread_model
from mgte.train.preparation import (
    RunOptions,
    located,
    open_prepared,
    prepare_datasets,
    prepare_tokenizer,
)
from mgte.train.recipe import Recipe, Stage
from mgte.train.run_folder import RunFolder
from mgte.train.stage_building import (
    load_config,
    stage_identity,
    stage_model,
    stage_objective,
    stage_start,
)
from mgte.train.stage_model import save_stage_model
from mgte.train.stage_parts import StageParts, StageResult
from mgte.train.stop_signal import StopSignal
from mgte.train.world import World, join_world, leave_world


@dataclass(frozen=True, kw_only=True, slots=True)
class RunResult:
    """How a run ended.

    Attributes:
        status: "done", or "interrupted": the same call goes on.
        model: Model folder of the last stage that is done; None as long as there is none.
        models: Model folders of all stages that are done, by stage.
        signal: Number of the signal that interrupted this process; None if none did.
    """

    status: Literal["done", "interrupted"]
    model: Path | None
    models: dict[str, Path]
    signal: int | None = None


def train(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    out: str | Path,
    overrides: Mapping[str, Any] | None = None,
    *,
    device: str = "auto",
    options: RunOptions | None = None,
) -> RunResult:
    """Run a recipe, or go on with a run that was interrupted.

    Under `torchrun` every process calls this.

    Args:
        recipe: YAML file, its values, or the record.
        out: Folder of the run; the same folder goes on with the same run.
        overrides: New values by path, such as {"stages.0.steps": 10}.
        device: "cpu", "cuda", or "auto" for a GPU where there is one.
        options: Paths, sinks, evaluators, teacher; None logs to the terminal.

    Returns:
        How it ended.

    Raises:
        ConfigError: The recipe cannot work, or `out` belongs to another run.
        DataError: Data cannot be read.
        TrainingError: A loss is no number, or the disk is full; the last checkpoint is intact.
    """
    record = read_recipe(recipe, overrides or {})
    if options is None:
        options = RunOptions(sinks=(ConsoleSink(),))
    world = join_world(device)
    try:
        return run_recipe(record, out, world=world, options=options)
    finally:
        leave_world()


def read_recipe(
    recipe: str | Path | Mapping[str, Any] | Recipe, overrides: Mapping[str, Any]
) -> Recipe:
    """A recipe from wherever it is, with changes.

    Args:
        recipe: YAML file, its values, or the record.
        overrides: New values by path.

    Returns:
        The recipe.

    Raises:
        ConfigError: A key is unknown or missing, or a value is of the wrong type.
    """
    values: Any = recipe
    if isinstance(recipe, str | Path):
        values = read_yaml(recipe)
    elif isinstance(recipe, Recipe):
        values = to_dict(recipe)
    return from_dict(Recipe, override(values, overrides))


def run_recipe(
    recipe: Recipe, out: str | Path, *, world: World, options: RunOptions | None = None
) -> RunResult:
    """Run all stages that are not done.

    Args:
        recipe: The recipe.
        out: Folder of the run.
        world: The processes.
        options: Paths, sinks, evaluators, teacher.

    Returns:
        How it ended.

    Raises:
        ConfigError: The recipe cannot work, or `out` belongs to another run.
        DataError: Data cannot be read.
        TrainingError: A loss is no number, or the disk is full.
    """
    options = options or RunOptions()
    root = options.data_root
    check_recipe(recipe, root=root, look_up=lambda name: open_model(located(name, root)).config)
    folder = RunFolder(Path(out), recipe)
    if not world.is_first:
        options = replace(options, sinks=(), report=None, on_progress=None)
        return _run_stages(recipe, folder, world, options)
    with folder.held():
        folder.claim()
        write_environment(folder.environment, world)
        return _run_stages(recipe, folder, world, options)


def _run_stages(recipe: Recipe, folder: RunFolder, world: World, options: RunOptions) -> RunResult:
    tokenizer, tokenizer_folder = prepare_tokenizer(recipe, folder, world, options)
    prepare_datasets(recipe, folder, tokenizer, world, options)
    models: dict[str, Path] = {}
    for stage in recipe.stages:
        if not folder.is_done(stage.name):
            with StopSignal() as stop:
                setting = _Setting(recipe, folder, tokenizer, tokenizer_folder, world, options)
                result = _run(stage, setting, stop)
            if result.status == "interrupted":
                last = next(reversed(models.values()), None)
                return RunResult(
                    status="interrupted", model=last, models=models, signal=stop.number
                )
        models[stage.name] = folder.model(stage.name)
    return RunResult(status="done", model=models[recipe.stages[-1].name], models=models)


@dataclass(frozen=True, slots=True)
class _Setting:
    """What all stages of a run share."""

    recipe: Recipe
    folder: RunFolder
    tokenizer: Tokenizer
    tokenizer_folder: Path
    world: World
    options: RunOptions


def _run(stage: Stage, setting: _Setting, stop: StopSignal) -> StageResult:
    """One stage, from its initial model to its model folder."""
    recipe, folder, world = setting.recipe, setting.folder, setting.world
    tokenizer, options = setting.tokenizer, setting.options
    folder.stage(stage.name).mkdir(parents=True, exist_ok=True)
    dataset = open_prepared(stage.data.dataset, recipe, folder, tokenizer, options)
    initial = stage_model(stage, recipe, folder, tokenizer, options.data_root)
    model = initial.model
    if stage.lora is not None:
        seed = mix_seed(recipe.seed, stage.name, "adapters")
        add_adapters(model, stage.lora, seed=seed, fresh=initial.fresh)
    model.to(world.device)
    model.encoder.recompute_layers = stage.activation_checkpointing
    spread = spread_model(model, world, stage.parallel)
    if stage.compile:
        model.encoder.compile_layers()
    loader = build_loader(
        dataset,
        stage.data,
        load_config(stage),
        tokenizer=tokenizer,
        seed=recipe.seed,
        stage=stage.name,
        rank=world.rank,
        world_size=world.size,
    )
    plan = (loader.fingerprint, dataset.fingerprint)
    with loader:
        parts = StageParts(
            stage=stage,
            seed=recipe.seed,
            folder=folder.stage(stage.name),
            model=model,
            loader=loader,
            objective=stage_objective(stage, dataset, model.config.hidden_size),
            optimizer=build_optimizer(model, stage.optimizer, fresh=initial.fresh),
            spread=spread,
            world=world,
            identity=stage_identity(stage, recipe, tokenizer, *plan),
            tokenizer=setting.tokenizer_folder,
            stop=stop,
            sinks=options.sinks,
            evaluators=options.evaluators,
        )
        result = run_stage(parts)
    if result.status == "done":
        weights = spread.gathered(plain_weights(model))
        if world.is_first:
            _finish(stage, parts, setting, weights, result)
        world.barrier()
    return result


def _finish(
    stage: Stage,
    parts: StageParts,
    setting: _Setting,
    weights: Mapping[str, Any],
    result: StageResult,
) -> None:
    """Write the model folder, how the encoder was trained, and that the stage is done."""
    folder, state = setting.folder, result.state
    done = {"steps": state.step, "tokens": state.tokens_seen, "seconds": round(state.seconds, 3)}
    trained = json.dumps(to_dict(parts.model.config), indent=2) + "\n"
    facts = _facts(stage, setting, result)
    origin = setting.tokenizer_folder
    target = folder.model(stage.name)
    try:
        save_stage_model(target, parts.model, weights, stage.output, tokenizer=origin, facts=facts)
        folder.encoder(stage.name).write_text(trained, encoding="utf-8")
        folder.mark_done(stage.name, done)
    except (OSError, SafetensorError) as error:
        raise TrainingError(
            f"{target}: the model cannot be written ({error})",
            hint="make room and start again: only the model folder is left to do",
        ) from error


def _facts(stage: Stage, setting: _Setting, result: StageResult) -> TrainingFacts:
    """How the stage's model came about, stages before it included."""
    recipe, options = setting.recipe, setting.options
    earlier: Sequence[StageFacts] = ()
    start_models: tuple[str, ...] = ()
    start = stage_start(stage, recipe, setting.folder, options.data_root)
    if stage.init_from in {other.name for other in recipe.stages}:
        before = read_training_facts(Path(str(start)))
        if before is not None:
            earlier, start_models = before.stages, before.start_models
    elif stage.init_from != SCRATCH:
        start_models = (stage.init_from,)
    own = StageFacts(
        name=stage.name,
        objective=stage.objective.kind,
        steps=result.state.step,
        tokens=result.state.tokens_seen,
        data=stage.data.dataset,
        start=stage.init_from,
        hours=round(result.state.seconds / 3600, 4),
    )
    return TrainingFacts(
        name=recipe.name,
        recipe=recipe.name,
        start_models=start_models,
        stages=(*earlier, own),
    )
