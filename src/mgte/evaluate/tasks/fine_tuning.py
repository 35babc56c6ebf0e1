"""FineTuningTask: the subject's encoder is trained on a task and measured on its test sets."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from mgte.config import to_dict
from mgte.errors import ConfigError
from mgte.evaluate.fine_tuning.config import METRICS, Setting, Sweep, TestSet, Training
from mgte.evaluate.fine_tuning.measuring import (
    MeasuredSet,
    mean_metrics,
    measure_dev,
    measure_sets,
    metric_of,
    spread,
)
from mgte.evaluate.fine_tuning.stages import Start, open_start, train_stage
from mgte.evaluate.records import TaskKind, TaskResult
from mgte.evaluate.significance import bootstrap_interval
from mgte.evaluate.subjects.subject import Subject
from mgte.evaluate.tasks.task import Task, TaskContext


@dataclass(frozen=True, kw_only=True, slots=True)
class FineTuningConfig:
    """A task that an encoder is trained for.

    Attributes:
        name: Name of the task.
        kind: "fine_tuning".
        training: What is trained; may start from another training.
        tests: What the trained model is measured on.
        main_metric: The metric that stands in tables; "" takes that of the method.
        profile: "paper" takes the setting as it is; "sweep" tries those of `sweep`, chooses by the
            dev part, and says so in the results.
        num_seeds: Runs of the profile "paper"; metrics are means over them.
        sweep: What the profile "sweep" tries.
        is_shared: Whether the trained model is kept in the cache folder, because other tasks use
            it; what trainings start from always is.
    """

    name: str
    kind: Literal["fine_tuning"] = "fine_tuning"
    training: Training
    tests: tuple[TestSet, ...]
    main_metric: str = ""
    profile: Literal["paper", "sweep"] = "paper"
    num_seeds: int = 1
    sweep: Sweep = field(default_factory=Sweep)
    is_shared: bool = False

    def __post_init__(self) -> None:
        known = METRICS[self.training.method]
        if self.main_metric and self.main_metric not in known:
            raise ConfigError(
                f"main_metric: got {self.main_metric!r}, expected one of {', '.join(known)}"
            )
        if not self.tests:
            raise ConfigError("tests: got none, expected at least one")
        if self.num_seeds < 1:
            raise ConfigError(f"num_seeds: got {self.num_seeds}, expected at least 1")
        if self.profile == "sweep" and self.training.dev is None:
            raise ConfigError("training.dev: missing, expected examples that the sweep chooses by")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Run:
    """One training and what was measured with it."""

    sets: tuple[MeasuredSet, ...]
    num_examples: int
    losses: tuple[float, ...]
    train_seconds: float
    all_seconds: float


class FineTuningTask(Task[FineTuningConfig]):
    """A task that an encoder is trained for."""

    kind: TaskKind = "fine_tuning"

    def run(self, subject: Subject, context: TaskContext) -> list[TaskResult]:
        """Train and measure.

        Args:
            subject: What is measured; its folder holds the checkpoint.
            context: How.

        Returns:
            One result per test set and language.

        Raises:
            ConfigError: The subject has no folder to train from, or a setting does not fit it.
            DataError: Data is missing or damaged.
        """
        if subject.folder is None:
            raise ConfigError(
                f"{self.name}: {subject.name} has no model folder, expected an encoder that mgte "
                "can train",
                hint="fine-tuning takes a folder, a known name or a hub id, no server and no "
                "foreign model",
            )
        start = open_start(subject.folder, self.root, cache_folder=context.cache_folder)
        with _Progress(self.name, context.show_progress) as progress:
            start = replace(start, on_step=progress.step)
            training = self.config.training
            tried: list[Mapping[str, Any]] = []
            seeds = range(context.seed, context.seed + self.config.num_seeds)
            if self.config.profile == "sweep":
                training, tried = self._choose(start, context.seed)
                seeds = range(context.seed, context.seed + self.config.sweep.num_seeds)
            runs = [self._run_once(training, replace(start, seed=seed)) for seed in seeds]
        facts = {
            "profile": self.config.profile,
            "seeds": list(seeds),
            "train_examples": runs[0].num_examples,
            "losses": [list(run.losses) for run in runs],
            **({"tried": tried} if tried else {}),
        }
        seconds = {
            "train": sum(run.train_seconds for run in runs),
            "all": sum(run.all_seconds for run in runs),
        }
        return [
            replace(
                self._result(sets, context.seed),
                settings=to_dict(training),
                seconds=seconds,
                facts={**self._facts(sets), **facts},
            )
            for sets in zip(*(run.sets for run in runs), strict=True)
        ]

    def _run_once(self, training: Training, start: Start) -> _Run:
        begin = time.perf_counter()
        stage = train_stage(training, start, is_shared=self.config.is_shared)
        main = self._main_metric(stage.method.main_metric)
        sets = measure_sets(training, stage, self.config.tests, start, main_metric=main)
        return _Run(
            sets=tuple(sets),
            num_examples=stage.num_examples,
            losses=stage.losses,
            train_seconds=stage.seconds,
            all_seconds=time.perf_counter() - begin,
        )

    def _choose(self, start: Start, seed: int) -> tuple[Training, list[Mapping[str, Any]]]:
        """The training with the best setting on the dev part, and what was tried."""
        training = self.config.training
        tried: list[Mapping[str, Any]] = []
        best: tuple[float, Setting] | None = None
        for setting in self.config.sweep.settings(training.setting):
            values = []
            for number in range(seed, seed + self.config.sweep.num_seeds):
                candidate = replace(training, setting=setting)
                stage = train_stage(candidate, replace(start, seed=number))
                metric = self._main_metric(stage.method.main_metric)
                values.append(measure_dev(candidate, stage, metric, start.root))
            mean = float(np.mean(values))
            tried.append(
                {"lr": setting.lr, "epochs": setting.epochs, "dev": mean, **spread(values)}
            )
            if best is None or mean > best[0]:
                best = mean, setting
        if best is None:
            raise ConfigError(f"{self.name}.sweep: tries nothing, expected at least one setting")
        return replace(training, setting=best[1]), tried

    def _values(self, sets: Sequence[MeasuredSet]) -> list[float]:
        main = self._main_metric(sets[0].main_metric)
        return [metric_of(one.measured.metrics, main, self.name) for one in sets]

    def _main_metric(self, usual: str) -> str:
        return self.config.main_metric or usual

    def _facts(self, sets: Sequence[MeasuredSet]) -> dict[str, Any]:
        return {**sets[0].measured.facts, "main_metric_by_seed": spread(self._values(sets))}

    def _result(self, sets: Sequence[MeasuredSet], seed: int) -> TaskResult:
        """One test set and language, by the means over runs."""
        first = sets[0]
        main = self._main_metric(first.main_metric)
        metrics = mean_metrics([one.measured.metrics for one in sets])
        per_item = _mean_per_item([one.measured.per_item for one in sets], metrics[main])
        return TaskResult(
            task=self.name,
            kind=self.kind,
            main_metric=main,
            metrics=metrics,
            num_items=first.measured.num_items,
            split=first.test.split,
            subset="-".join(filter(None, (first.test.subset, first.language))),
            language=first.language,
            interval=bootstrap_interval(list(per_item.values()), seed=seed) if per_item else None,
            per_item=per_item,
            worst=first.measured.worst,
            dataset_hash=first.dataset_hash,
        )


def _mean_per_item(runs: Sequence[Mapping[str, float]], main: float) -> dict[str, float]:
    """Values of items over runs; none where the main metric is no mean of theirs, such as F1."""
    values = mean_metrics(runs) if runs[0] else {}
    is_mean = bool(values) and abs(float(np.mean(list(values.values()))) - main) < 1e-9
    return values if is_mean else {}


class _Progress:
    """A bar of steps; one per training."""

    def __init__(self, name: str, show: bool | None) -> None:
        self._name = name
        self._is_hidden = None if show is None else not show
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def step(self, step: int, steps: int, loss: float) -> None:
        """Move the bar on."""
        if self._bar is None:
            self._bar = tqdm(
                total=steps, desc=self._name, unit="step", disable=self._is_hidden, leave=False
            )
        self._bar.update(step - self._bar.n)
        self._bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
        if step == steps:
            self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
