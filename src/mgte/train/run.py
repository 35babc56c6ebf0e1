"""run_recipe: stages one after the other, each ending in a model folder.

1. Check the recipe, also against what the folder holds; nothing is written before that.
2. Tokenizer and datasets, by the first process; the others wait.
3. Per stage that is not done: model -> loader -> objective -> `run_stage` -> model folder -> DONE.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from mgte.config import from_dict, override, read_yaml, to_dict
from mgte.data import build_loader, mix_seed
from mgte.errors import ConfigError
from mgte.train.environment import note_environment
from mgte.train.host_memory import limit_product_caches
from mgte.train.loop import run_stage
from mgte.train.lora import add_adapters
from mgte.train.metrics import ConsoleSink
from mgte.train.optimizer import build_optimizer
from mgte.train.parallel import spread_model
from mgte.train.preparation import open_prepared, prepare_datasets
from mgte.train.ready_recipe import ready_recipe
from mgte.train.recipe import Recipe, Stage
from mgte.train.run_folder import RunFolder
from mgte.train.run_options import RunOptions
from mgte.train.run_setting import RunSetting
from mgte.train.stage_building import (
    load_config,
    stage_identity,
    stage_model,
    stage_objective,
)
from mgte.train.stage_finishing import finish_stage
from mgte.train.stage_output import settings_at_use
from mgte.train.stage_parts import Evaluator, StageParts, StageResult
from mgte.train.start_share import start_weights
from mgte.train.stop_signal import StopSignal
from mgte.train.tokenizer_preparation import prepare_tokenizer
from mgte.train.world import World, join_world, leave_world


@dataclass(frozen=True, kw_only=True, slots=True)
class RunResult:
    """How a run ended.

    Attributes:
        status: "done", or "interrupted": the same call goes on.
        model: Model folder of the last stage that is done; None as long as there is none.
        models: Model folders of all stages that are done, by stage.
        signal: Number of the signal that interrupted this process; None if none did.
        stage: The stage that was interrupted, or that was next; None if all are done.
        step: Steps of that stage that are saved.
    """

    status: Literal["done", "interrupted"]
    model: Path | None
    models: dict[str, Path]
    signal: int | None = None
    stage: str | None = None
    step: int = 0


def train(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    out: str | Path,
    overrides: Mapping[str, Any] | None = None,
    *,
    device: str = "auto",
    evaluators: Sequence[Evaluator] = (),
    options: RunOptions | None = None,
) -> RunResult:
    """Run a recipe, or go on with a run that was interrupted.

    Under `torchrun` every process calls this.

    Args:
        recipe: YAML file, its values, or the record.
        out: Folder of the run; the same folder goes on with the same run.
        overrides: New values by path, such as {"stages.0.steps": 10}.
        device: "cpu", "cuda", or "auto" for a GPU where there is one.
        evaluators: What is measured in stages that ask for it, such as
            `mgte.evaluate.RetrievalEvaluator()`.
        options: Paths, sinks, a teacher of your own; None logs to the terminal.

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
    options = replace(options, evaluators=(*options.evaluators, *evaluators))
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
    limit_product_caches()
    recipe = ready_recipe(recipe, options.data_root)
    _check_evaluators(recipe, options)
    folder = RunFolder(Path(out), recipe)
    if not world.is_first:
        options = replace(options, sinks=(), report=None, on_progress=None)
        return _run_stages(recipe, folder, world, options)
    with folder.held():
        folder.check()
        return _run_stages(recipe, folder, world, options)


def _check_evaluators(recipe: Recipe, options: RunOptions) -> None:
    for stage in recipe.stages:
        if stage.evaluation is not None and not options.evaluators:
            raise ConfigError(
                f"stages.{stage.name}.evaluation: is asked for, but no evaluator was passed in",
                hint="pass evaluators=[mgte.evaluate.RetrievalEvaluator()], or set it to null",
            )


def _run_stages(recipe: Recipe, folder: RunFolder, world: World, options: RunOptions) -> RunResult:
    tokenizer = prepare_tokenizer(recipe, folder, world, options)
    prepare_datasets(recipe, folder, tokenizer.tokenizer, world, options)
    setting = RunSetting(
        recipe=recipe, folder=folder, tokenizer=tokenizer, world=world, options=options
    )
    models: dict[str, Path] = {}
    # One for all stages, so that no signal falls between two of them.
    with StopSignal() as stop:
        for stage in recipe.stages:
            if not folder.is_done(stage.name):
                step = 0
                if not world.wishes(stop.is_set):
                    result = _run(stage, setting, stop)
                    step = result.state.step
                    if result.status == "done":
                        models[stage.name] = folder.model(stage.name)
                        continue
                last = next(reversed(models.values()), None)
                return RunResult(
                    status="interrupted",
                    model=last,
                    models=models,
                    signal=stop.number,
                    stage=stage.name,
                    step=step,
                )
            models[stage.name] = folder.model(stage.name)
    return RunResult(status="done", model=models[recipe.stages[-1].name], models=models)


def _run(stage: Stage, setting: RunSetting, stop: StopSignal) -> StageResult:
    """One stage, from its initial model to its model folder."""
    recipe, folder, world = setting.recipe, setting.folder, setting.world
    tokenizer, options = setting.tokenizer.tokenizer, setting.options
    dataset = open_prepared(stage.data.dataset, recipe, folder, tokenizer, options)
    initial = stage_model(stage, recipe, folder, tokenizer, options.data_root)
    model = initial.model
    start = start_weights(stage, initial) if world.is_first else {}
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
            tokenizer=setting.tokenizer.folder,
            settings=settings_at_use(
                stage.output, initial.settings, lowercase=setting.tokenizer.lowercase
            ),
            stop=stop,
            sinks=options.sinks,
            evaluators=options.evaluators,
            notes=initial.notes,
            start=start,
        )
        if world.is_first:
            _claim(parts, setting)
        result = run_stage(parts)
    if result.status == "done":
        finish_stage(parts, setting, result)
    return result


def _claim(parts: StageParts, setting: RunSetting) -> None:
    """Write recipe and environment, now that nothing of the stage speaks against them."""
    folder = setting.folder
    folder.check_under_way(parts.stage, parts.identity)
    folder.write_recipe()
    note_environment(folder.environment, setting.world)
    parts.folder.mkdir(parents=True, exist_ok=True)
