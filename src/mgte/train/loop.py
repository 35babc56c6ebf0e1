"""run_stage: the loop.

    restore or start
    repeat: learning rate -> gradients of all batches -> one all-reduce -> clip -> step
            -> log -> maybe save -> maybe evaluate

A step is done or it is not: what was asked to stop inside a step drops that step, so a checkpoint
always stands between two steps.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import replace

import torch

from mgte.data import Batch, mix_seed
from mgte.errors import TrainingError
from mgte.losses import LossSum
from mgte.train.checkpoint import CHECKPOINTS, checkpoint_folder, checkpoint_steps
from mgte.train.checkpoint_writer import CheckpointWriter
from mgte.train.host_memory import HeapTrimmer, heap_trim
from mgte.train.objectives.objective import StepContext
from mgte.train.schedule import lr_factor
from mgte.train.stage_evaluation import evaluate_if_due, is_evaluation_due
from mgte.train.stage_log import StageLog
from mgte.train.stage_parts import StageParts, StageResult
from mgte.train.stage_saving import restore_stage, save_stage, stage_writer
from mgte.train.state import TrainState
from mgte.train.step_sums import ReducedStep, StepSums

_SHOWN_ROWS = 16


def run_stage(parts: StageParts) -> StageResult:
    """Train until the stage's last step, or until somebody asks to stop.

    Args:
        parts: What the stage is made of.

    Returns:
        How it ended; the last step that was done is in a checkpoint. A stage whose last evaluation
        is still to come was interrupted.

    Raises:
        ConfigError: The folder holds checkpoints of another run.
        CheckpointError: All checkpoints are damaged.
        TrainingError: A loss or gradient is no number, or a checkpoint cannot be written.
    """
    stage, events = parts.stage, list[str]()
    state = restore_stage(parts, events.append)
    log = StageLog(parts, state)
    for event in events if state.step else (*parts.notes, *events):
        log.event(state.step, event)
    writer, saved, is_stopped = stage_writer(parts), state.step, False
    heap = HeapTrimmer(trim=heap_trim())
    parts.model.train()
    try:
        # An evaluation that an earlier run did not get to.
        state = evaluate_if_due(parts, state, log, writer)
        while state.step < stage.steps and not is_stopped:
            started = time.perf_counter()
            done = _train_step(parts, state, writer)
            if done is None:
                break
            reduced, norm, loader_state = done
            state = replace(
                state,
                step=state.step + 1,
                tokens_seen=state.tokens_seen + reduced.counts["tokens"],
                tokens_dropped=state.tokens_dropped + reduced.counts["tokens_dropped"],
                seconds=state.seconds + time.perf_counter() - started,
                loader=loader_state,
            )
            log.step(state, reduced, norm)
            heap.after_step()
            is_stopped = reduced.wants_stop
            if writer is not None:
                writer.check()
            if is_stopped or _is_save_due(parts, state):
                save_stage(parts, state, writer)
                saved = state.step
            # Who asks to stop does not wait for an evaluation: it is the first thing next time.
            if not is_stopped:
                state = evaluate_if_due(parts, state, log, writer)
        is_done = state.step >= stage.steps and not is_evaluation_due(parts, state)
        if saved != state.step:
            save_stage(parts, state, writer)
        if not is_done:
            _say_interrupted(state, log, writer)
    finally:
        log.close()
        if writer is not None:
            writer.close()
    return StageResult(status="done" if is_done else "interrupted", state=state)


def _is_save_due(parts: StageParts, state: TrainState) -> bool:
    stage, step = parts.stage, state.step
    is_due = step % stage.checkpoint.every_steps == 0 or step == stage.steps
    # What goes wrong while a model is measured must not cost steps.
    return is_due or is_evaluation_due(parts, state)


def _say_interrupted(state: TrainState, log: StageLog, writer: CheckpointWriter | None) -> None:
    """Log that the stage was interrupted, and what is saved once it is."""
    if not state.step:
        log.event(0, "interrupted before the first step was done; there is nothing to save")
        return
    if writer is not None:
        writer.check(wait=True)
    log.event(state.step, f"interrupted after step {state.step}; saved")


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
