"""What a report's reader must know beside its numbers: settings, truncation, data, time.

Loads no torch.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from mgte.evaluate.records import Report, TaskResult
from mgte.evaluate.reports.row import task_label

_MANY = 12


def flat_settings(values: Mapping[str, Any], front: str = "") -> Iterator[tuple[str, str]]:
    """Settings of any depth as pairs of a path and a text.

    Args:
        values: Plain values.
        front: Path of `values`.

    Yields:
        (path, value) in the order of the settings; what is None or empty is left out.
    """
    for key, value in values.items():
        path = f"{front}.{key}" if front else str(key)
        if isinstance(value, Mapping):
            yield from flat_settings(value, path)
        elif value is not None and value != "" and value != []:
            yield path, _spoken(value)


def shared_settings(report: Report) -> dict[str, str]:
    """Settings of the report, and those that all its results share.

    Args:
        report: The report.

    Returns:
        Path to value.
    """
    found = dict(flat_settings(report.settings))
    all_flat = [dict(flat_settings(_plain_settings(result))) for result in report.results]
    for path, value in (all_flat[0] if all_flat else {}).items():
        if all(settings.get(path) == value for settings in all_flat):
            found.setdefault(path, value)
    return found


def own_settings(result: TaskResult, shared: Mapping[str, str]) -> dict[str, str]:
    """Settings of a result that are not those of the whole report."""
    flat = flat_settings(_plain_settings(result))
    return {path: value for path, value in flat if shared.get(path) != value}


def truncation(report: Report) -> list[tuple[str, str, str]]:
    """Tasks whose texts the model did not see to the end.

    Args:
        report: The report.

    Returns:
        (task, what, how many) without repeats; empty where nothing was cut.
    """
    found: dict[tuple[str, str, str], None] = {}
    for result in report.results:
        for fact, value in result.facts.items():
            if "truncated" in fact and isinstance(value, int | float) and value > 0:
                what = fact.removeprefix("num_").replace("_", " ").strip()
                whole = result.facts.get(fact.replace("_truncated", ""))
                count = f"{value:,}" if isinstance(value, int) else f"{value:.1%}"
                of = f" of {whole:,}" if isinstance(whole, int) and isinstance(value, int) else ""
                found[task_label(result), what, count + of] = None
    return list(found)


def data_facts(result: TaskResult) -> list[tuple[str, str]]:
    """Numbers and words among a result's facts; lists of items are left out."""
    return [
        (name.replace("_", " "), _spoken(value))
        for name, value in result.facts.items()
        if not isinstance(value, Mapping) and not (isinstance(value, list) and len(value) > _MANY)
    ]


def seconds_by_task(report: Report) -> dict[str, float]:
    """Task to the seconds that it took; work that several variants share counts once."""
    found: dict[str, dict[str, float]] = {}
    for result in report.results:
        found.setdefault(task_label(result), {}).update(result.seconds)
    return {task: sum(seconds.values()) for task, seconds in found.items() if seconds}


def _plain_settings(result: TaskResult) -> dict[str, Any]:
    """Settings without the task's own name, which differs anyway."""
    settings = dict(result.settings)
    task = settings.get("task")
    if isinstance(task, Mapping):
        settings["task"] = {key: value for key, value in task.items() if key not in _TASK_OWN}
    return settings


_TASK_OWN = ("name", "kind", "split", "language")


def _spoken(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, list | tuple):
        return ", ".join(_spoken(part) for part in value)
    return str(value)
