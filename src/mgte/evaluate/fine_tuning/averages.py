"""Averages of GLUE and XTREME-R as the mGTE paper takes them. Loads no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mgte.errors import DataError
from mgte.evaluate.records import TaskResult


@dataclass(frozen=True, kw_only=True, slots=True)
class AveragedTask:
    """A task of a benchmark and what of it counts.

    Attributes:
        task: Its name in the suite.
        metric: The metric that is averaged.
        subset: The only subset that counts; None takes the mean over all of them.
    """

    task: str
    metric: str
    subset: str | None = None


# Source: github izhx/nlu-evals, tools/gather_glue.py: no WNLI; matched MNLI only.
GLUE_TASKS = (
    AveragedTask(task="CoLA", metric="matthews"),
    AveragedTask(task="SST-2", metric="accuracy"),
    AveragedTask(task="MRPC", metric="f1"),
    AveragedTask(task="STS-B", metric="spearman"),
    AveragedTask(task="QQP", metric="f1"),
    AveragedTask(task="MNLI", metric="accuracy", subset="matched"),
    AveragedTask(task="QNLI", metric="accuracy"),
    AveragedTask(task="RTE", metric="accuracy"),
)
# Source: the same, tools/gather_xtreme.py: exact match is not averaged.
XTREME_R_TASKS = (
    AveragedTask(task="XNLI", metric="accuracy"),
    AveragedTask(task="XCOPA", metric="accuracy"),
    AveragedTask(task="UDPOS", metric="f1"),
    AveragedTask(task="WikiANN", metric="f1"),
    AveragedTask(task="XQuAD", metric="f1"),
    AveragedTask(task="MLQA", metric="f1"),
    AveragedTask(task="TyDiQA", metric="f1"),
    AveragedTask(task="Mewsli-X", metric="map_at_20"),
    AveragedTask(task="LAReQA", metric="map_at_20"),
    AveragedTask(task="Tatoeba-R", metric="accuracy"),
)


_TOLD = ("lr", "epochs", "batch_size", "max_length", "pooling")

# Name of an average, as suites ask for it, to what it is taken over.
AVERAGES: Mapping[str, tuple[AveragedTask, ...]] = {
    "glue-average": GLUE_TASKS,
    "xtreme-r-average": XTREME_R_TASKS,
}


def benchmark_average(
    results: Sequence[TaskResult], tasks: Sequence[AveragedTask]
) -> tuple[float, Mapping[str, float]]:
    """Mean over tasks of the mean over a task's languages.

    Args:
        results: Results of all tasks of a benchmark.
        tasks: What counts: `GLUE_TASKS` or `XTREME_R_TASKS`.

    Returns:
        The average, and the value of each task, 0 to 1.

    Raises:
        DataError: A task is missing: an average of fewer tasks would not be comparable.
    """
    values: dict[str, float] = {}
    for wanted in tasks:
        found = [
            result.metrics[wanted.metric]
            for result in results
            if result.task == wanted.task and wanted.subset in (None, result.subset)
        ]
        if not found:
            raise DataError(f"average: no result of {wanted.task!r}, expected all of {len(tasks)}")
        values[wanted.task] = sum(found) / len(found)
    return sum(values.values()) / len(values), values


def average_result(name: str, results: Sequence[TaskResult]) -> TaskResult:
    """`benchmark_average` as a result, for reports.

    Args:
        name: Name of the average: "glue-average" or "xtreme-r-average".
        results: Results of all tasks of a benchmark.

    Returns:
        A result whose facts hold the value of each task.

    Raises:
        DataError: A task is missing.
    """
    average, values = benchmark_average(results, AVERAGES[name])
    counted = [task.task for task in AVERAGES[name]]
    results = [result for result in results if result.task in counted]
    profiles = {str(result.facts["profile"]) for result in results if "profile" in result.facts}
    return TaskResult(
        task=name,
        kind="average",
        main_metric="average",
        metrics={"average": average},
        num_items=len(values),
        split="dev" if name.startswith("glue") else "test",
        # Chosen settings give other averages than fixed ones, and are told as such.
        facts={"tasks": dict(values), "profile": " and ".join(sorted(profiles)) or "unknown"},
        settings=_settings(results),
    )


def _settings(results: Sequence[TaskResult]) -> dict[str, Any]:
    """What decides whether an average is the published one: settings, and cut training data."""
    told: dict[str, Any] = {}
    for name in _TOLD:
        settings = [result.settings.get("setting") or {} for result in results]
        values = list(dict.fromkeys(setting[name] for setting in settings if name in setting))
        if values:
            told[name] = values[0] if len(values) == 1 else " and ".join(map(str, values))
    stops = [(result.settings.get("train") or {}).get("stop") for result in results]
    cut = [stop for stop in stops if stop]
    return {**({"setting": told} if told else {}), **({"stop": min(cut)} if cut else {})}
