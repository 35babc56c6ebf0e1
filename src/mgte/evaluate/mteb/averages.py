"""Averages of a benchmark, as mteb's leaderboard has them: by type of task, and over all."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from mgte.errors import DataError
from mgte.evaluate.mteb.results import kind_of
from mgte.evaluate.records import TaskKind, TaskResult

MEAN_TASK, MEAN_TYPE = "mean_task", "mean_type"
_SHOWN = 5


def benchmark_averages(
    name: str, tasks: Sequence[Any], results: Mapping[str, Any], *, settings: Mapping[str, Any]
) -> list[TaskResult]:
    """Averages over the tasks of a benchmark.

    The score of a task is the mean of its main scores over splits and subsets. Source: mteb 2,
    `TaskResult.get_score`, `Mean (Task)` and `Mean (TaskType)` of its leaderboard.

    Args:
        name: Name of the benchmark, for the records.
        tasks: `mteb.AbsTask` each, with the splits and subsets that count.
        results: Name of a task to its `mteb.TaskResult`.
        settings: What was asked for.

    Returns:
        First the whole, with the mean over tasks as its main metric and the mean over types
        beside it; then one record per type of task, its name as the subset.

    Raises:
        DataError: A task, or a part of it, was not measured.
    """
    scores = {task.metadata.name: _score(task, results) for task in tasks}
    missing = [task_name for task_name, score in scores.items() if score is None]
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise DataError(
            f"{name}: {len(tasks) - len(missing)} of {len(tasks)} tasks were measured, expected "
            f"all; there is nothing of {', '.join(missing[:_SHOWN])}{more}"
        )
    by_type: dict[str, list[float]] = defaultdict(list)
    for task in tasks:
        score = scores[task.metadata.name]
        by_type[task.metadata.type].append(0.0 if score is None else score)
    means = {task_type: _mean(values) for task_type, values in sorted(by_type.items())}
    overall = {
        MEAN_TASK: _mean([value for values in by_type.values() for value in values]),
        MEAN_TYPE: _mean(list(means.values())),
    }
    records = [_record(name, "average", "", overall, len(tasks), settings)]
    records += [
        _record(name, kind_of(of), of, {MEAN_TASK: mean}, len(by_type[of]), settings)
        for of, mean in means.items()
    ]
    return records


def _score(task: Any, results: Mapping[str, Any]) -> float | None:
    """Mean of the main scores of a task; None where one is missing."""
    found = results.get(task.metadata.name)
    if found is None:
        return None
    values: list[float] = []
    for split in task.eval_splits:
        kept = found.scores.get(split, ())
        by_subset = {scores["hf_subset"]: float(scores["main_score"]) for scores in kept}
        wanted = ["default"] if task.is_aggregate else task.hf_subsets
        values += [by_subset.get(subset, math.nan) for subset in wanted]
    mean = _mean(values) if values else math.nan
    return None if math.isnan(mean) else mean


def _mean(values: Sequence[float]) -> float:
    return float(sum(values) / len(values))


def _record(
    name: str,
    kind: TaskKind,
    subset: str,
    metrics: Mapping[str, float],
    num_items: int,
    settings: Mapping[str, Any],
) -> TaskResult:
    return TaskResult(
        task=name,
        kind=kind,
        main_metric=MEAN_TASK,
        metrics=metrics,
        num_items=num_items,
        subset=subset,
        facts={"mteb_type": subset},
        settings=settings,
    )
