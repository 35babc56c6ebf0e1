"""mteb's own tasks, by name: with the splits and subsets that a benchmark takes of them."""

import difflib
from collections.abc import Sequence
from typing import Any

from mgte.errors import ConfigError
from mgte.evaluate.mteb.mteb_calls import import_mteb

_SHOWN = 20


def find_mteb_task(
    name: str, *, benchmark: str = "", splits: Sequence[str] = (), subsets: Sequence[str] = ()
) -> Any:
    """A task of mteb.

    Args:
        name: mteb's name of it.
        benchmark: mteb's name of a benchmark that has it, such as "MTEB(eng, v1)": the task is
            taken with the splits and subsets of that benchmark. "" means all splits and subsets.
        splits: Splits to measure; empty means those of the benchmark or the task.
        subsets: Subsets to measure; empty means those of the benchmark or the task.

    Returns:
        `mteb.AbsTask`; no data is read yet.

    Raises:
        ConfigError: There is no such task, benchmark, split or subset.
        BackendUnavailableError: mteb is not installed.
    """
    if benchmark:
        tasks = {task.metadata.name: task for task in benchmark_tasks(benchmark)}
        if name not in tasks:
            raise ConfigError(f"{benchmark}: has no task {name!r}{_similar(name, list(tasks))}")
        task = tasks[name]
        splits, subsets = splits or task.eval_splits, subsets or task.hf_subsets
    try:
        # A task of its own: those of a benchmark are shared by all who ask for them.
        task = import_mteb().get_task(name)
    except KeyError:
        known = list(import_mteb("mteb.get_tasks")._TASKS_REGISTRY)
        raise ConfigError(f"mteb: has no task {name!r}{_similar(name, known)}") from None
    return narrowed_task(task, splits=splits, subsets=subsets)


def narrowed_task(task: Any, *, splits: Sequence[str] = (), subsets: Sequence[str] = ()) -> Any:
    """A task with some of its splits and subsets.

    Args:
        task: `mteb.AbsTask`; changed in place.
        splits: Splits to keep; empty means all that it has.
        subsets: Subsets to keep; empty means all that it has.

    Returns:
        The task.

    Raises:
        ConfigError: The task has no such split or subset.
    """
    where = task.metadata.name
    if splits:
        _check_known(splits, list(task.metadata.eval_splits), f"{where}: split")
        task.filter_eval_splits(eval_splits=list(splits))
    # Tasks of translations have tens of thousands of subsets, which mteb looks up one by one.
    if set(subsets) - set(task.hf_subsets):
        _check_known(subsets, task.metadata.hf_subsets, f"{where}: subset")
    if subsets and set(subsets) != set(task.hf_subsets):
        task.filter_languages(None, hf_subsets=frozenset(subsets))
    return task


def benchmark_tasks(benchmark: str) -> list[Any]:
    """The tasks of a benchmark of mteb.

    Args:
        benchmark: mteb's name of it.

    Returns:
        `mteb.AbsTask` each, with the splits and subsets that the benchmark takes.

    Raises:
        ConfigError: There is no such benchmark.
        BackendUnavailableError: mteb is not installed.
    """
    try:
        return list(import_mteb().get_benchmark(benchmark).tasks)
    except KeyError:
        known = [found.name for found in import_mteb().get_benchmarks()]
        raise ConfigError(
            f"mteb: has no benchmark {benchmark!r}{_similar(benchmark, known)}"
        ) from None


def _check_known(asked: Sequence[str], known: Sequence[str], what: str) -> None:
    unknown = [name for name in asked if name not in known]
    if unknown:
        more = ", ..." if len(known) > _SHOWN else ""
        listed = ", ".join(known[:_SHOWN]) + more
        raise ConfigError(f"{what}: got {unknown[0]!r}, expected some of {listed}")


def _similar(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=3)
    return f", expected perhaps {' or '.join(close)}" if close else ""
