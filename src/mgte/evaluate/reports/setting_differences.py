"""Settings that differ between two reports, task by task over what both measured.

Loads no torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mgte.evaluate.records import Report, TaskResult
from mgte.evaluate.reports.row import task_label
from mgte.evaluate.reports.settings import effective_settings

# What names a model differs wherever two models are compared.
_NAMES = ("model", "reranker", "revision", "folder", "fingerprint", "query_model")


@dataclass(frozen=True, kw_only=True, slots=True)
class SettingDifference:
    """A setting with one value in the first report and another in the second.

    Attributes:
        name: Path of the setting.
        first: Its value in the first report, in words; "" where it is not set.
        second: Its value in the second.
        tasks: Tasks in which the two stand against each other; empty where in all of both.
    """

    name: str
    first: str
    second: str
    tasks: tuple[str, ...] = ()


def setting_differences(
    pairs: Sequence[tuple[TaskResult, TaskResult]], a: Report, b: Report
) -> tuple[SettingDifference, ...]:
    """Settings in which what was measured twice differs.

    Args:
        pairs: Results of the first and of the second report for the same thing.
        a: The first report.
        b: The second.

    Returns:
        One record per setting and pair of values.
    """
    found: dict[tuple[str, str, str], dict[str, None]] = {}
    for first, second in pairs:
        told = (effective_settings(first, a), effective_settings(second, b))
        for difference in _differences(*told):
            found.setdefault(difference, {})[task_label(first)] = None
    every = {task_label(first) for first, _ in pairs}
    return tuple(
        SettingDifference(
            name=name,
            first=first,
            second=second,
            tasks=() if tasks.keys() == every else tuple(tasks),
        )
        for (name, first, second), tasks in found.items()
    )


def _differences(first: Mapping[str, str], second: Mapping[str, str]) -> list[tuple[str, str, str]]:
    return [
        (name, first.get(name, ""), second.get(name, ""))
        for name in dict.fromkeys([*first, *second])
        if first.get(name, "") != second.get(name, "")
        and name.rpartition(".")[2] not in _NAMES
        and _is_known(name, first)
        and _is_known(name, second)
    ]


def _is_known(name: str, settings: Mapping[str, str]) -> bool:
    """Whether a report tells a setting, or others of its record: then it is not set."""
    record, dot, _ = name.partition(".")
    # Runs of other programs, and of other versions, tell other things: that is no difference.
    return name in settings or (bool(dot) and any(n.startswith(record + dot) for n in settings))
