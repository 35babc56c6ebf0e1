"""Settings as reports tell them: each under one name, without those that change no number.

Loads no torch.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from mgte.evaluate.records import Report, TaskResult
from mgte.evaluate.retrieval_config import RetrievalConfig

# Of these, 0 means all there is.
_LIMITS = ("max_queries", "max_documents", "max_items", "max_pairs", "max_texts")
_SEARCH = tuple(field.name for field in fields(RetrievalConfig))
# How much is held at once changes no result: told only where somebody chose it.
_QUIET = {
    f"retrieval.{name}": getattr(RetrievalConfig(), name)
    for name in ("documents_per_part", "max_tokens_per_batch", "show_progress")
}
# A task's own name differs anyway; what it asked of the search stands in the search's settings.
_TASK_OWN = ("name", "kind", "split", "language", "modes", "retrieval")
# The title tells the models, and the variants tell the modes.
_TOLD_ELSEWHERE = ("model", "reranker", "name", "kind")


def flat_settings(values: Mapping[str, Any]) -> dict[str, str]:
    """Settings of any depth as path to text.

    Args:
        values: Plain values.

    Returns:
        Path to text in the order of the settings; what is None or empty, or how much is held at
        once where that is the default, is left out.
    """
    return {
        path: text
        for path, value in _flat(values)
        if (text := _setting_text(path, value)) and not (path in _QUIET and value == _QUIET[path])
    }


def shared_settings(report: Report) -> dict[str, str]:
    """Settings of the report, and those that all its results share.

    Args:
        report: The report.

    Returns:
        Path to text.
    """
    found = flat_settings(report.settings)
    all_flat = [flat_settings(_plain_settings(result)) for result in report.results]
    for path, text in (all_flat[0] if all_flat else {}).items():
        if all(settings.get(path) == text for settings in all_flat):
            found.setdefault(path, text)
    return found


def own_settings(result: TaskResult, shared: Mapping[str, str]) -> dict[str, str]:
    """Settings of a result that are not those of the whole report.

    Args:
        result: The result.
        shared: `shared_settings` of its report.

    Returns:
        Path to text.
    """
    flat = flat_settings(_plain_settings(result))
    return {path: text for path, text in flat.items() if shared.get(path) != text}


def effective_settings(result: TaskResult, report: Report) -> dict[str, str]:
    """All settings that a result was measured with, wherever its report tells them.

    Args:
        result: The result.
        report: Its report.

    Returns:
        Path to text, "" for what is not set; what concerns other kinds of tasks is left out.
    """
    given = {name: value for name, value in report.settings.items() if name != "modes"}
    search = given.pop("retrieval", {})
    # Searches tell all of theirs themselves; lists of candidates are only given one hybrid score.
    if result.kind == "reranking" and isinstance(search, Mapping):
        given["retrieval"] = {key: value for key, value in search.items() if key == "hybrid"}
    flat = dict(_flat(given)) | dict(_flat(_plain_settings(result)))
    return {
        path: _setting_text(path, value)
        for path, value in flat.items()
        if path != "retrieval.show_progress"
    }


def spoken_value(value: Any) -> str:
    """A setting or a fact in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, list | tuple):
        return ", ".join(spoken_value(part) for part in value)
    return str(value)


def _flat(values: Mapping[str, Any], front: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        path = f"{front}.{key}" if front else str(key)
        if isinstance(value, Mapping):
            yield from _flat(value, path)
        else:
            yield path, value


def _plain_settings(result: TaskResult) -> dict[str, Any]:
    """Settings of a result under the names that the report has for them."""
    settings = {
        name: value for name, value in result.settings.items() if name not in _TOLD_ELSEWHERE
    }
    task = settings.get("task")
    if isinstance(task, Mapping):
        settings["task"] = {key: value for key, value in task.items() if key not in _TASK_OWN}
    # A search tells its settings one by one, the report tells them as one record.
    if "hybrid" in settings:
        search = {name: settings.pop(name) for name in _SEARCH if name in settings}
        settings["retrieval"] = search
    return settings


def _setting_text(path: str, value: Any) -> str:
    if value is None or value == "" or value == [] or value == ():
        return ""
    if value == 0 and path.rpartition(".")[2] in _LIMITS:
        return "all"
    return spoken_value(value)
