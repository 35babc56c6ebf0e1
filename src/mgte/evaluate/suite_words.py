"""What a run of a suite tells while it goes: a line per task, and errors in a line."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from mgte.errors import MgteError
from mgte.evaluate.records import TaskResult

_MOST_PARTS = 8
# Facts about texts of which a model did not see the end, with how many there were, and their name.
_CUT = (
    ("num_documents_truncated", "num_documents", "documents"),
    ("num_queries_truncated", "num_queries", "queries"),
    ("num_truncated", "num_texts", "texts"),
)


def summary(results: Sequence[TaskResult]) -> str:
    """The main metric by variant, the mean of several parts; and how many texts were cut.

    Args:
        results: Results of one task.

    Returns:
        A line.
    """
    groups: dict[tuple[str, str], list[float]] = {}
    for result in results:
        groups.setdefault((result.variant, result.main_metric), []).append(result.main)
    parts = [
        f"{variant} {metric} {_number(sum(values) / len(values))}".strip()
        for (variant, metric), values in groups.items()
    ]
    more = len(parts) - _MOST_PARTS
    line = ", ".join(parts[:_MOST_PARTS]) + (f" and {more} more" if more > 0 else "")
    return f"{line}{_cut_texts(results)}"


def spoken(error: Exception) -> str:
    """An error in one line, its hint in brackets.

    Args:
        error: What was raised.

    Returns:
        The line; errors that are not ours start with their type.
    """
    if isinstance(error, MgteError):
        return error.message if error.hint is None else f"{error.message} ({error.hint})"
    first_line = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first_line}"


def check_writable(folder: Path) -> None:
    """Make a folder, and find out now whether files can be written there.

    Args:
        folder: Where results will go.

    Raises:
        OSError: They cannot.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(b" ")


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 10 else f"{value:,.1f}"


def _cut_texts(results: Sequence[TaskResult]) -> str:
    """Cut texts of all parts; of the variants, which read the same texts, the one with the most."""
    by_variant: dict[str, list[TaskResult]] = {}
    for result in results:
        by_variant.setdefault(result.variant, []).append(result)
    told = []
    for cut, whole, name in _CUT:
        counts = [
            tuple(sum(int(result.facts.get(fact, 0)) for result in found) for fact in (cut, whole))
            for found in by_variant.values()
        ]
        count, known = max(counts, default=(0, 0))
        if count:
            told.append(f"{count:,} of {known:,} {name} cut")
    return f" [{', '.join(told)}]" if told else ""
