"""Checkpoints of a stage: what stands in one, which is the newest that is whole, does it fit.

A checkpoint is a folder `step-0000100` with model.safetensors, optimizer.safetensors and
state.json. It gets its name only when all of it is on the disk, and state.json holds size and
checksum of the other two, so a damaged one is told from a whole one.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from mgte.config import from_dict, to_dict
from mgte.errors import CheckpointError, ConfigError
from mgte.train.differences import differences
from mgte.train.recipe import Stage
from mgte.train.schedule import ScheduleConfig, lr_factor
from mgte.train.state import TrainState
from mgte.train.tensor_files import FileFacts, facts_of, put_together, read_tensors

FORMAT_VERSION = 1
# Folder of a stage's checkpoints.
CHECKPOINTS = "checkpoints"
MODEL_FILE, OPTIMIZER_FILE, STATE_FILE = "model.safetensors", "optimizer.safetensors", "state.json"
_FOLDER = re.compile(r"step-(\d{7,})")
# What may change while a stage is under way: none of it changes what is computed, except by the
# last bit where it changes the order of sums, and other chunks by what dropout drops.
_FREE = ("log_every", "checkpoint", "evaluation", "parallel", "activation_checkpointing", "compile")
_FREE_DATA = ("dataset", "tokens_per_chunk")


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """What a run must share with a checkpoint to go on from it.

    Attributes:
        settings: Settings that decide what is computed, as plain values.
        plan: Fingerprint of the loader.
        dataset: Fingerprint of the dataset.
    """

    settings: dict[str, Any]
    plan: str
    dataset: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Snapshot:
    """Everything that a checkpoint holds.

    Attributes:
        state: Where the stage stands.
        identity: What it belongs to.
        weights: Whole weights by name.
        optimizer: State of the optimizer, whole tensors.
    """

    state: TrainState
    identity: Identity
    weights: Mapping[str, Tensor]
    optimizer: Mapping[str, Any]


def stage_settings(stage: Stage, seed: int) -> dict[str, Any]:
    """The settings of a stage that decide what is computed."""
    settings: dict[str, Any] = to_dict(stage)
    for key in _FREE:
        del settings[key]
    for key in _FREE_DATA:
        del settings["data"][key]
    # Of the output only the pooling and the prompts are there in training too.
    kept = ("pooling", "query_prompt", "document_prompt")
    settings["output"] = {key: settings["output"][key] for key in kept}
    return {"seed": seed, **settings}


def checkpoint_folder(parent: Path, step: int) -> Path:
    """Folder of the checkpoint behind a step."""
    return parent / f"step-{step:07d}"


def checkpoint_steps(parent: Path) -> list[int]:
    """Steps of the checkpoints in a folder, ascending, whole or not."""
    if not parent.is_dir():
        return []
    matches = (_FOLDER.fullmatch(path.name) for path in parent.iterdir() if path.is_dir())
    return sorted(int(match.group(1)) for match in matches if match)


def find_newest(parent: Path, report: Callable[[str], None]) -> int | None:
    """Step of the newest checkpoint whose files are all there and unchanged.

    Args:
        parent: Folder of the checkpoints.
        report: Told about every damaged one that is passed over.

    Returns:
        The step; None where there are no checkpoints at all.

    Raises:
        CheckpointError: There are checkpoints, and all are damaged.
    """
    steps = checkpoint_steps(parent)
    for step in reversed(steps):
        folder = checkpoint_folder(parent, step)
        reason = _damage(folder)
        if reason is None:
            return step
        report(f"{folder}: damaged ({reason}), an older checkpoint is used")
    if steps:
        raise CheckpointError(
            f"{parent}: all {len(steps)} checkpoints are damaged, expected one that is whole",
            hint="delete the folder to start this stage again",
        )
    return None


def read_checkpoint(parent: Path, step: int) -> Snapshot:
    """Read a checkpoint.

    Args:
        parent: Folder of the checkpoints.
        step: Which one.

    Returns:
        What it holds, tensors on the CPU.

    Raises:
        CheckpointError: It cannot be read.
    """
    folder = checkpoint_folder(parent, step)
    values = _read_state(folder)
    return Snapshot(
        state=from_dict(TrainState, values["state"], str(folder / STATE_FILE)),
        identity=Identity(**values["identity"]),
        weights=read_tensors(folder / MODEL_FILE),
        optimizer=put_together(values["optimizer"], read_tensors(folder / OPTIMIZER_FILE)),
    )


def newest_identity(parent: Path) -> tuple[Identity, int] | None:
    """What the newest checkpoint that can be read belongs to, and its step; tensors are not read.

    Args:
        parent: Folder of the checkpoints.

    Returns:
        None where there is none.
    """
    for step in reversed(checkpoint_steps(parent)):
        try:
            return Identity(**_read_state(checkpoint_folder(parent, step))["identity"]), step
        except (CheckpointError, KeyError, TypeError):
            continue
    return None


def check_identity(stored: Identity, current: Identity, place: str, step: int) -> None:
    """Refuse to go on from a checkpoint of another run.

    Args:
        stored: Of the checkpoint.
        current: Of this run; an empty plan or dataset is not known yet and not compared.
        place: Name of the stage, for messages.
        step: Steps that are done.

    Raises:
        ConfigError: They differ; the message says in what.
    """
    hint = "go back to the old value, or train into another folder"
    found = differences(stored.settings, current.settings)
    if _same_rates(stored.settings, current.settings, step):
        found = {key: pair for key, pair in found.items() if not _is_of_schedule(key)}
    for key, (before, now) in found.items():
        where = key if key == "seed" else f"stages.{place}.{key}"
        raise ConfigError(
            f"{where}: got {now!r}, but the stage was begun with {before!r}", hint=hint
        )
    if current.dataset and stored.dataset != current.dataset:
        raise ConfigError(
            f"stages.{place}.data.dataset: holds other rows than those the stage was begun with "
            f"(got {current.dataset[:12]}, expected {stored.dataset[:12]})",
            hint="give the dataset that the stage began with, or train into another folder",
        )
    if current.plan and stored.plan != current.plan:
        raise ConfigError(
            f"stages.{place}.data: decides other batches than those the stage was begun with",
            hint=hint,
        )


def _is_of_schedule(key: str) -> bool:
    return key == "steps" or key.startswith("schedule.")


def _same_rates(before: Mapping[str, Any], now: Mapping[str, Any], step: int) -> bool:
    """Whether every step that is done would have the same learning rate under both settings."""
    if not all("schedule" in settings and "steps" in settings for settings in (before, now)):
        return False
    (old, old_steps), (new, new_steps) = (
        (from_dict(ScheduleConfig, settings["schedule"]), int(settings["steps"]))
        for settings in (before, now)
    )
    if (old, old_steps) == (new, new_steps):
        return True
    return new_steps >= step and all(
        lr_factor(old, done, old_steps) == lr_factor(new, done, new_steps) for done in range(step)
    )


def _damage(folder: Path) -> str | None:
    """What is wrong with a checkpoint; None if nothing is."""
    try:
        files = _read_state(folder)["files"]
        for name in (MODEL_FILE, OPTIMIZER_FILE):
            expected = from_dict(FileFacts, files[name])
            if (folder / name).stat().st_size != expected.size_bytes:
                return f"{name} is not as long as it was"
            if facts_of(folder / name) != expected:
                return f"{name} has changed"
    except (OSError, KeyError, CheckpointError, ConfigError) as error:
        return " ".join(str(error).split())
    return None


def _read_state(folder: Path) -> dict[str, Any]:
    path = folder / STATE_FILE
    try:
        values: Any = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error})") from None
    if not isinstance(values, dict) or values.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(f"{path}: is not of format version {FORMAT_VERSION}")
    return values
