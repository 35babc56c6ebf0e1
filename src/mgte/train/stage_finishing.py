"""The end of a stage: which weights, the model folder, how its encoder was trained, DONE."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from mgte.config import to_dict
from mgte.errors import CheckpointError, TrainingError
from mgte.store import StageFacts, TrainingFacts, read_training_facts
from mgte.train.checkpoint import CHECKPOINTS, read_checkpoint
from mgte.train.initial_model import SCRATCH
from mgte.train.lora import plain_weights
from mgte.train.run_setting import RunSetting
from mgte.train.stage_building import stage_start
from mgte.train.stage_model import save_stage_model
from mgte.train.stage_parts import StageParts, StageResult
from mgte.train.start_share import with_start
from mgte.train.state import TrainState


def finish_stage(parts: StageParts, setting: RunSetting, result: StageResult) -> None:
    """Write the model folder, how the encoder was trained, and that the stage is done.

    All processes call this; the first one writes.

    Args:
        parts: The stage.
        setting: The run.
        result: How the stage ended.

    Raises:
        TrainingError: The folder cannot be written, or there are no best weights.
    """
    step = _take_weights(parts, result.state)
    weights = parts.spread.gathered(plain_weights(parts.model))
    if parts.world.is_first:
        _write(parts, setting, weights, result, step)
    parts.world.barrier()


def _take_weights(parts: StageParts, state: TrainState) -> int:
    """Go to the weights that the recipe asks for; the step that they are of."""
    if parts.stage.output.weights == "last":
        return state.step
    place = f"stages.{parts.stage.name}.output.weights"
    hint = "set it to last and start again: only the model folder is left to do"
    if state.best is None:
        raise TrainingError(f"{place}: got 'best', but no evaluation gave a score", hint=hint)
    if state.best.step != state.step:
        try:
            best = read_checkpoint(parts.folder / CHECKPOINTS, state.best.step)
        except CheckpointError as error:
            raise TrainingError(f"{place}: {error.message}", hint=hint) from error
        parts.spread.load(best.weights)
    return state.best.step


def _write(
    parts: StageParts,
    setting: RunSetting,
    weights: Mapping[str, Any],
    result: StageResult,
    step: int,
) -> None:
    folder, state, stage = setting.folder, result.state, parts.stage
    done = {
        "steps": state.step,
        "tokens": state.tokens_seen,
        "tokens_dropped": state.tokens_dropped,
        "seconds": round(state.seconds, 3),
        "weights_of_step": step,
    }
    trained = json.dumps(to_dict(parts.model.config), indent=2) + "\n"
    target = folder.model(stage.name)
    try:
        save_stage_model(
            target,
            parts.model,
            with_start(weights, parts.start, stage.output.start_share),
            stage.output,
            tokenizer=parts.tokenizer,
            settings=parts.settings,
            facts=_facts(parts, setting, result),
        )
        folder.encoder(stage.name).write_text(trained, encoding="utf-8")
        folder.mark_done(stage.name, done)
    except (OSError, SafetensorError) as error:
        raise TrainingError(
            f"{target}: the model cannot be written ({error})",
            hint="make room and start again: only the model folder is left to do",
        ) from error


def _facts(parts: StageParts, setting: RunSetting, result: StageResult) -> TrainingFacts:
    """How the stage's model came about, stages before it included."""
    recipe, stage = setting.recipe, parts.stage
    earlier: Sequence[StageFacts] = ()
    start_models: tuple[str, ...] = ()
    start = stage_start(stage, recipe, setting.folder, setting.options.data_root)
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
