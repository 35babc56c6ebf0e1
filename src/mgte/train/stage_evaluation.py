"""Evaluation inside a stage: when it is due, what is measured, which step is the best so far.

A checkpoint is written before an evaluation and says that it has not taken place; afterwards its
state is brought up to date. What goes wrong while a model is measured costs no step, and a run
that was stopped in between measures when it goes on.
"""

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist
from safetensors import SafetensorError

from mgte.config import to_dict
from mgte.errors import TrainingError
from mgte.train.checkpoint_writer import CheckpointWriter
from mgte.train.lora import plain_weights
from mgte.train.recipe import EvaluationConfig
from mgte.train.stage_log import StageLog
from mgte.train.stage_model import save_stage_model
from mgte.train.stage_parts import StageParts
from mgte.train.start_share import with_start
from mgte.train.state import Best, TrainState

EVALUATED = "evaluated-model"


def is_evaluation_due(parts: StageParts, state: TrainState) -> bool:
    """Whether the model must be measured before the next step."""
    config = parts.stage.evaluation
    if config is None or not parts.evaluators or state.step == (state.evaluated or 0):
        return False
    return state.step % config.every_steps == 0 or state.step == parts.stage.steps


def measured_on(config: EvaluationConfig) -> str:
    """What scores must share to be compared: everything but how often they are taken."""
    values = {key: value for key, value in to_dict(config).items() if key != "every_steps"}
    return json.dumps(values, sort_keys=True)


def evaluate_if_due(
    parts: StageParts, state: TrainState, log: StageLog, writer: CheckpointWriter | None
) -> TrainState:
    """Measure the model if it is time; all processes call this.

    Args:
        parts: The stage.
        state: Where it stands; there is a checkpoint of it.
        log: Told the scores.
        writer: The first process's writer; None on the others.

    Returns:
        The state with the evaluation, and with the best one so far.

    Raises:
        TrainingError: The model cannot be written, or the checkpoint not be brought up to date.
    """
    config, started = parts.stage.evaluation, time.perf_counter()
    if config is None or not is_evaluation_due(parts, state):
        return state
    weights = parts.spread.gathered(plain_weights(parts.model))
    found: list[Any] = [None]
    if parts.world.is_first:
        scores = _scores(parts, state.step, weights)
        log.evaluation(state.step, scores)
        found = [next(iter(scores.items()), None)]
    if parts.world.size > 1:
        dist.broadcast_object_list(found, src=0)
    best = _better(state, found[0], measured_on(config))
    state = replace(state, best=best, evaluated=state.step)
    if writer is not None:
        writer.amend(state)
    log.pause(time.perf_counter() - started)
    return state


def _better(state: TrainState, score: tuple[str, float] | None, setting: str) -> Best | None:
    """The best evaluation so far; one of other questions, or of another score, does not count."""
    old = state.best
    if score is None:
        return old
    metric, value = score
    is_comparable = old is not None and old.metric == metric and old.setting in ("", setting)
    if old is not None and is_comparable and value <= old.value:
        return old
    return Best(step=state.step, metric=metric, value=float(value), setting=setting)


def _scores(parts: StageParts, step: int, weights: Mapping[str, torch.Tensor]) -> dict[str, float]:
    folder = parts.folder / EVALUATED
    scores: dict[str, float] = {}
    try:
        save_stage_model(
            folder,
            parts.model,
            with_start(weights, parts.start, parts.stage.output.start_share),
            parts.stage.output,
            tokenizer=parts.tokenizer,
            settings=parts.settings,
        )
        for evaluator in parts.evaluators:
            scores.update(evaluator(folder, parts.stage, step))
    except (OSError, SafetensorError) as error:
        raise TrainingError(
            f"{folder}: the model of step {step} cannot be measured ({error})",
            hint="make room and start again: the run goes on with this evaluation",
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return scores
