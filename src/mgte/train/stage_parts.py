"""StageParts: everything that a stage is made of, and what the loop calls outside."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from torch import Tensor

from mgte.data import StepBatches
from mgte.model import Model
from mgte.store import EmbeddingSettings
from mgte.train.checkpoint import Identity
from mgte.train.objectives.objective import Objective
from mgte.train.optimizer import Optimizer
from mgte.train.parallel import Spread
from mgte.train.recipe import Stage
from mgte.train.state import TrainState
from mgte.train.stop_signal import StopSignal
from mgte.train.world import World

# Takes a record of the log. Kinds: "step", "evaluation", "event".
Sink = Callable[[dict[str, Any]], None]
# From a saved model folder, the stage and the number of steps done to scores by name; the first
# one decides which checkpoint is the best.
Evaluator = Callable[[Path, Stage, int], Mapping[str, float]]


class StepLoader(Protocol):
    """Where steps come from; `mgte.data.Loader` is one."""

    fingerprint: str

    def next_step(self) -> StepBatches:
        """This process's share of the next step."""
        ...

    def state(self) -> dict[str, int]:
        """Where the loader stands."""
        ...

    def restore(self, state: Mapping[str, int]) -> None:
        """Go to where a loader stood."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StageParts:
    """Everything that a stage is made of.

    Attributes:
        stage: The stage.
        seed: Seed of the run.
        folder: Folder of the stage.
        model: The model, on its device and spread.
        loader: Where steps come from.
        objective: What is optimised.
        optimizer: Optimizer of the model.
        spread: How the model is spread over processes.
        world: The processes.
        identity: What its checkpoints belong to.
        tokenizer: Folder of the tokenizer.
        settings: How the model is used, for the folders that are written of it.
        stop: Whether somebody asked to stop.
        sinks: Where the log goes, beside `metrics.jsonl`.
        evaluators: What is measured during training.
        notes: What the log says before the first step.
        start: Weights before the first step, where the recipe asks for a share of them.
    """

    stage: Stage
    seed: int
    folder: Path
    model: Model
    loader: StepLoader
    objective: Objective
    optimizer: Optimizer
    spread: Spread
    world: World
    identity: Identity
    tokenizer: Path
    settings: EmbeddingSettings
    stop: StopSignal
    sinks: Sequence[Sink] = ()
    evaluators: Sequence[Evaluator] = ()
    notes: Sequence[str] = ()
    start: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class StageResult:
    """How a stage ended.

    Attributes:
        status: "done", or "interrupted" by a signal.
        state: Where it stands.
    """

    status: Literal["done", "interrupted"]
    state: TrainState
