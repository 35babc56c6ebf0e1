"""How a stage's tensors go into checkpoints and come back, for any number of processes.

A checkpoint always holds whole tensors, so it does not say by how many processes it was written.
All processes read it themselves: the run's folder is one that all of them see.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist

from mgte.train.checkpoint import (
    CHECKPOINTS,
    Snapshot,
    check_identity,
    find_newest,
    read_checkpoint,
)
from mgte.train.checkpoint_writer import CheckpointWriter
from mgte.train.parallel import Spread
from mgte.train.stage_parts import StageParts
from mgte.train.state import TrainState


def restore_stage(parts: StageParts, report: Callable[[str], None]) -> TrainState:
    """Go to the newest checkpoint that is whole; all processes to the same.

    Args:
        parts: The stage; weights, optimizer and loader are changed in place.
        report: Told what was found.

    Returns:
        Where the stage stands.

    Raises:
        ConfigError: The checkpoints are those of another run.
        CheckpointError: All checkpoints are damaged.
    """
    folder, world = parts.folder / CHECKPOINTS, parts.world
    found: list[Any] = [find_newest(folder, report) if world.is_first else None]
    if world.size > 1:
        dist.broadcast_object_list(found, src=0)
    if found[0] is None:
        return TrainState(loader=parts.loader.state(), evaluated=0)
    snapshot = read_checkpoint(folder, found[0])
    check_identity(snapshot.identity, parts.identity, parts.stage.name, snapshot.state.step)
    parts.spread.load(snapshot.weights)
    parts.optimizer.load_state_dict(_scattered(parts.spread, snapshot.optimizer))
    parts.loader.restore(snapshot.state.loader)
    state = snapshot.state
    report(f"goes on after step {state.step}")
    # Checkpoints of before evaluations were noted were written behind them.
    return replace(state, evaluated=state.step) if state.evaluated is None else state


def _scattered(spread: Spread, optimizer: Mapping[str, Any]) -> dict[str, Any]:
    """The optimizer's state with this process's parts of tensors that belong to parameters."""
    return {
        part: {
            "groups": state["groups"],
            "state": {
                name: {
                    key: spread.scattered(name, value) if torch.is_tensor(value) else value
                    for key, value in values.items()
                }
                for name, values in state["state"].items()
            },
        }
        for part, state in optimizer.items()
    }


def stage_writer(parts: StageParts) -> CheckpointWriter | None:
    """The writer of the first process; None on the others."""
    if not parts.world.is_first:
        return None
    return CheckpointWriter(parts.folder / CHECKPOINTS, parts.stage.checkpoint)


def save_stage(parts: StageParts, state: TrainState, writer: CheckpointWriter | None) -> None:
    """Begin to write a checkpoint.

    Args:
        parts: The stage.
        state: Where it stands.
        writer: The first process's writer; None on the others, which help to gather shards.

    Raises:
        TrainingError: The checkpoint before could not be written.
    """
    weights = parts.spread.gathered(parts.model.state_dict())
    optimizer = parts.spread.gathered(parts.optimizer.state_dict())
    if writer is not None:
        writer.save(
            Snapshot(state=state, identity=parts.identity, weights=weights, optimizer=optimizer)
        )
