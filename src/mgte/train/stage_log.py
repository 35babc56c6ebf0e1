"""StageLog: what a stage tells: steps, evaluations, events."""

import time
from collections.abc import Mapping
from typing import Any

from mgte.errors import TrainingError
from mgte.train.metrics import open_log
from mgte.train.schedule import lr_factor
from mgte.train.stage_parts import StageParts
from mgte.train.state import TrainState
from mgte.train.step_sums import ReducedStep

LOG_FILE = "metrics.jsonl"


class StageLog:
    """Records of the first process; nothing on the others.

    Args:
        parts: The stage.
        state: Where it stands; what was logged after that is taken out of the file.
    """

    def __init__(self, parts: StageParts, state: TrainState) -> None:
        self._parts = parts
        self._sinks: list[Any] = []
        self._file: Any = None
        if parts.world.is_first:
            self._file = open_log(parts.folder / LOG_FILE, state.step)
            self._sinks = [self._file, *parts.sinks]
        self._since = (time.perf_counter(), state.step, state.tokens_seen)

    def step(self, state: TrainState, reduced: ReducedStep, norm: float) -> None:
        """Log a step if it is time; its own loss, not a mean, so that resuming changes nothing."""
        stage = self._parts.stage
        if state.step % stage.log_every and state.step not in (1, stage.steps):
            return
        now = time.perf_counter()
        then, steps, tokens = self._since
        elapsed = max(now - then, 1e-9)
        self._since = (now, state.step, state.tokens_seen)
        factor = lr_factor(stage.schedule, state.step - 1, stage.steps)
        terms = {k: v for k, v in reduced.means.items() if not k.startswith("tokens")}
        self._emit(
            "step",
            state.step,
            steps=stage.steps,
            lr=stage.optimizer.lr * factor,
            tokens_per_s=(state.tokens_seen - tokens) / elapsed,
            tokens_seen=state.tokens_seen,
            tokens_dropped=state.tokens_dropped,
            grad_norm=norm,
            eta_s=(stage.steps - state.step) * elapsed / max(1, state.step - steps),
            **terms,
        )

    def evaluation(self, step: int, scores: Mapping[str, float]) -> None:
        """Log scores."""
        self._emit("evaluation", step, **scores)

    def pause(self, seconds: float) -> None:
        """Leave time out of the speed of steps."""
        then, steps, tokens = self._since
        self._since = (then + seconds, steps, tokens)

    def event(self, step: int, message: str) -> None:
        """Log words."""
        self._emit("event", step, message=message)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _emit(self, kind: str, step: int, **values: Any) -> None:
        record = {"kind": kind, "stage": self._parts.stage.name, "step": step, **values}
        try:
            for sink in self._sinks:
                sink(record)
        except OSError as error:
            raise TrainingError(
                f"{self._parts.folder}: the log cannot be written ({error.strerror or error})",
                hint="make room and start again: the run goes on from its last checkpoint",
            ) from error
