"""CheckpointWriter: checkpoints written in the background, whole or not at all."""

import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

from torch import Tensor

from mgte.config import to_dict
from mgte.errors import TrainingError
from mgte.text import flush, replace_text
from mgte.train.checkpoint import (
    FORMAT_VERSION,
    MODEL_FILE,
    OPTIMIZER_FILE,
    STATE_FILE,
    Snapshot,
    checkpoint_folder,
    checkpoint_steps,
)
from mgte.train.recipe import CheckpointConfig
from mgte.train.state import TrainState
from mgte.train.tensor_files import take_apart, write_chunks, write_tensors

_ASIDE = ".writing-"


class CheckpointWriter:
    """Writes the checkpoints of a stage, one at a time, in a thread.

    `save` copies the tensors and returns; what goes wrong in the thread is raised by the next
    `save`, `check` or `close`. Older checkpoints are removed once the new one is complete.

    Args:
        parent: Folder of the checkpoints; made where it is missing. What a killed run left half
            written is removed.
        config: Which checkpoints are kept.
    """

    def __init__(self, parent: Path, config: CheckpointConfig) -> None:
        self._parent = parent
        self._config = config
        self._thread: threading.Thread | None = None
        self._error: TrainingError | None = None
        parent.mkdir(parents=True, exist_ok=True)
        for path in parent.glob(f"{_ASIDE}*"):
            shutil.rmtree(path, ignore_errors=True)

    def save(self, snapshot: Snapshot) -> None:
        """Begin to write a checkpoint.

        Args:
            snapshot: What is written; its tensors may change as soon as this returns.

        Raises:
            TrainingError: The checkpoint before could not be written.
        """
        self.check(wait=True)
        tree, tensors = take_apart(snapshot.optimizer)
        files = {MODEL_FILE: _copied(snapshot.weights), OPTIMIZER_FILE: _copied(tensors)}
        values = {
            "format_version": FORMAT_VERSION,
            "state": to_dict(snapshot.state),
            "identity": to_dict(snapshot.identity),
            "optimizer": tree,
        }
        kept = self._kept(snapshot.state)
        # Not a daemon: a program that ends waits until the file is whole.
        self._thread = threading.Thread(
            target=self._write, args=(snapshot.state.step, files, values, kept), name="checkpoint"
        )
        self._thread.start()

    def amend(self, state: TrainState) -> None:
        """Bring the newest checkpoint up to date, whose tensors stay as they are.

        Args:
            state: Where the stage stands, behind the step of that checkpoint.

        Raises:
            TrainingError: It could not be written, or not be changed.
        """
        self.check(wait=True)
        path = checkpoint_folder(self._parent, state.step) / STATE_FILE
        try:
            values = json.loads(path.read_bytes()) | {"state": to_dict(state)}
            replace_text(path, json.dumps(values, indent=1))
            self._remove_old(state.step, self._kept(state))
        except OSError as error:
            raise TrainingError(
                f"{path}: cannot be brought up to date ({error.strerror or error})",
                hint="make room and start again: the run goes on from this checkpoint",
            ) from error

    def check(self, *, wait: bool = False) -> None:
        """Raise what went wrong in the thread.

        Args:
            wait: Whether to wait for a checkpoint that is being written.

        Raises:
            TrainingError: A checkpoint could not be written.
        """
        if self._thread is not None and (wait or not self._thread.is_alive()):
            self._thread.join()
            self._thread = None
        if self._thread is None and self._error is not None:
            error, self._error = self._error, None
            raise error

    def close(self) -> None:
        """Wait for the last checkpoint.

        Raises:
            TrainingError: It could not be written.
        """
        self.check(wait=True)

    def _write(
        self, step: int, files: dict[str, dict[str, Tensor]], values: dict[str, Any], kept: set[int]
    ) -> None:
        aside = self._parent / f"{_ASIDE}{step:07d}-{os.getpid()}"
        size = sum(tensor.nbytes for tensors in files.values() for tensor in tensors.values())
        try:
            aside.mkdir()
            facts = {name: write_tensors(aside / name, tensors) for name, tensors in files.items()}
            text = json.dumps(values | {"files": to_dict(facts)}, indent=1)
            write_chunks(aside / STATE_FILE, [text.encode()])
            flush(aside)
            target = checkpoint_folder(self._parent, step)
            # There is one only if it was damaged, or has the same content.
            shutil.rmtree(target, ignore_errors=True)
            aside.rename(target)
            flush(self._parent)
            self._remove_old(step, kept)
        except OSError as error:
            shutil.rmtree(aside, ignore_errors=True)
            self._error = TrainingError(
                f"{self._parent}: the checkpoint of step {step} cannot be written "
                f"({error.strerror or error}); it needs {size / 1e6:,.1f} MB",
                hint="make room and start again: the run goes on from the checkpoint before",
            )
        except Exception as error:  # must not be lost with the thread
            shutil.rmtree(aside, ignore_errors=True)
            self._error = TrainingError(
                f"{self._parent}: the checkpoint of step {step} cannot be written ({error!r})"
            )

    def _kept(self, state: TrainState) -> set[int]:
        return {state.best.step} if state.best is not None and self._config.keep_best else set()

    def _remove_old(self, newest: int, kept: set[int]) -> None:
        steps = checkpoint_steps(self._parent)
        # Later ones are damaged, or the run would have gone on from them.
        last = [step for step in steps if step <= newest][-self._config.keep_last :]
        for step in set(steps) - {*last, *kept}:
            folder = checkpoint_folder(self._parent, step)
            # Renamed first: a removal that is cut short leaves nothing that looks complete.
            gone = self._parent / f"{_ASIDE}{step:07d}-old"
            shutil.rmtree(gone, ignore_errors=True)
            folder.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)


def _copied(tensors: Any) -> dict[str, Tensor]:
    """Copies on the CPU that nobody else changes."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}
