"""run_stage: the loop.

    restore or start
    repeat: learning rate -> gradients of all batches -> one all-reduce -> clip -> step
            -> log -> maybe evaluate -> maybe save

A step is done or it is not: what was asked to stop inside a step drops that step, so a checkpoint
always stands between two steps.
"""

import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist

from mgte.data import Batch, mix_seed
from mgte.errors import TrainingError
from mgte.losses import LossSum
from mgte.train.checkpoint import checkpoint_folder, checkpoint_steps
from mgte.train.checkpoint_writer import CheckpointWriter
from mgte.train.lora import plain_weights
from mgte.train.objectives.objective import StepContext
from mgte.train.schedule import lr_factor
from mgte.train.stage_log import StageLog
from mgte.train.stage_model import save_stage_model
from mgte.train.stage_parts import StageParts, StageResult
from mgte.train.stage_saving import CHECKPOINTS, restore_stage, save_stage, stage_writer
from mgte.train.state import Best, TrainState
from mgte.train.step_sums import ReducedStep, StepSums

EVALUATED = "evaluated-model"
_SHOWN_ROWS = 16


def run_stage(parts: StageParts) -> StageResult:
    """Train until the stage's last step, or until somebody asks to stop.

    Args:
        parts: What the stage is made of.

    Returns:
        How it ended; the last step that was done is in a checkpoint.

    Raises:
        ConfigError: The folder holds checkpoints of another run.
        CheckpointError: All checkpoints are damaged.
        TrainingError: A loss or gradient is no number, or a checkpoint cannot be written.
    """
    stage = parts.stage
    events: list[str] = []
    state = restore_stage(parts, events.append)
    log = StageLog(parts, state)
    for event in events:
        log.event(state.step, event)
    writer = stage_writer(parts)
    saved = state.step if state.step else -1
    parts.model.train()
    try:
        while state.step < stage.steps:
            started = time.perf_counter()
            done = _train_step(parts, state, writer)
            if done is None:
                break
            reduced, norm, loader_state = done
            seconds = state.seconds + time.perf_counter() - started
            tokens = state.tokens_seen + reduced.counts["tokens"]
            state = replace(
                state, step=state.step + 1, tokens_seen=tokens, seconds=seconds, loader=loader_state
            )
            log.step(state, reduced, norm)
            improved, state = _evaluate(parts, state, log)
            if writer is not None:
                writer.check()
            is_due = state.step % stage.checkpoint.every_steps == 0 or state.step == stage.steps
            if is_due or (improved and stage.checkpoint.keep_best):
                save_stage(parts, state, writer)
                saved = state.step
            if reduced.wants_stop:
                break
        is_done = state.step >= stage.steps
        if saved != state.step and state.step:
            save_stage(parts, state, writer)
        if not is_done:
            log.event(state.step, f"interrupted after step {state.step}; saved")
    finally:
        log.close()
        if writer is not None:
            writer.close()
    return StageResult(status="done" if is_done else "interrupted", state=state)


def _train_step(
    parts: StageParts, state: TrainState, writer: CheckpointWriter | None
) -> tuple[ReducedStep, float, dict[str, int]] | None:
    """One step; None if it was dropped because somebody asked to stop."""
    stage, spread, world = parts.stage, parts.spread, parts.world
    share = parts.loader.next_step()
    # Dropout is a function of the step: no state of random numbers needs to be saved.
    torch.manual_seed(mix_seed(parts.seed, stage.name, state.step, world.rank))
    parts.optimizer.set_factor(lr_factor(stage.schedule, state.step, stage.steps))
    spread.zero_gradients()
    sums = StepSums()
    for index, batch in enumerate(share.batches):
        # Alone, a process drops the step and stops. Several stop together, after the step whose
        # sums told all of them.
        if parts.stop.is_set and world.size == 1:
            return None
        context = StepContext(
            step=state.step,
            world=world,
            parallel=spread,
            is_last=index == len(share.batches) - 1,
            tokens_per_chunk=stage.data.tokens_per_chunk,
            autocast=torch.bfloat16 if stage.precision == "bfloat16" else None,
        )
        sums.add(parts.objective.accumulate(parts.model, batch, context))
    nothing = torch.zeros((), device=world.device)
    sums.add({"tokens": LossSum(nothing, share.num_tokens)})
    sums.add({"tokens_dropped": LossSum(nothing, share.num_tokens_dropped)})
    reduced = spread.reduce(sums, wants_stop=parts.stop.is_set)
    norm = spread.clip(stage.optimizer.clip_norm)
    if not (math.isfinite(reduced.totals["loss"]) and math.isfinite(norm)):
        raise _not_finite(parts, state, (reduced, norm), share.batches, writer)
    parts.optimizer.step()
    return reduced, norm, parts.loader.state()


def _not_finite(
    parts: StageParts,
    state: TrainState,
    values: tuple[ReducedStep, float],
    batches: Sequence[Batch],
    writer: CheckpointWriter | None,
) -> TrainingError:
    """The error of a step whose loss or gradient is no number."""
    if writer is not None:
        writer.check(wait=True)
    reduced, norm = values
    described = []
    for batch in batches:
        rows = batch.rows.tolist()
        more = f" and {len(rows) - _SHOWN_ROWS} more" if len(rows) > _SHOWN_ROWS else ""
        described.append(f"{batch.source} rows {rows[:_SHOWN_ROWS]}{more}")
    folder = parts.folder / CHECKPOINTS
    steps = checkpoint_steps(folder)
    last = "there is no checkpoint yet"
    if steps:
        last = f"the last checkpoint is {checkpoint_folder(folder, steps[-1])}"
    return TrainingError(
        f"stages.{parts.stage.name}: step {state.step} has loss {reduced.means['loss']:g} and "
        f"gradient norm {norm:g}, expected finite numbers; batches: {'; '.join(described)}",
        hint=f"look at these rows, or lower the learning rate; {last}",
    )


def _evaluate(parts: StageParts, state: TrainState, log: StageLog) -> tuple[bool, TrainState]:
    """Evaluate if it is time; whether that was the best so far, and the state with it."""
    config, started = parts.stage.evaluation, time.perf_counter()
    is_due = config is not None and (
        state.step % config.every_steps == 0 or state.step == parts.stage.steps
    )
    if not is_due or not parts.evaluators:
        return False, state
    weights = parts.spread.gathered(plain_weights(parts.model))
    found: list[Any] = [None]
    if parts.world.is_first:
        scores = _scores(parts, state.step, weights)
        log.evaluation(state.step, scores)
        found = [next(iter(scores.items()), None)]
    if parts.world.size > 1:
        dist.broadcast_object_list(found, src=0)
    log.pause(time.perf_counter() - started)
    if found[0] is None or (state.best is not None and found[0][1] <= state.best.value):
        return False, state
    best = Best(step=state.step, metric=found[0][0], value=float(found[0][1]))
    return True, replace(state, best=best)


def _scores(parts: StageParts, step: int, weights: Mapping[str, torch.Tensor]) -> dict[str, float]:
    folder = save_stage_model(
        parts.folder / EVALUATED,
        parts.model,
        weights,
        parts.stage.output,
        tokenizer=parts.tokenizer,
    )
    scores: dict[str, float] = {}
    for evaluator in parts.evaluators:
        scores.update(evaluator(folder, parts.stage, step))
    shutil.rmtree(folder, ignore_errors=True)
    return scores
