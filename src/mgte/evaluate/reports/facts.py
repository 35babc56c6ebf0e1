"""What a report's reader must know beside its numbers: gaps, truncation, data, time.

Loads no torch.
"""

from collections.abc import Iterator, Mapping

from mgte.evaluate.records import Report, TaskResult
from mgte.evaluate.reports.row import task_label
from mgte.evaluate.reports.settings import spoken_value

_MANY = 12
_MOST_NAMES = 30


def missing_tasks(report: Report) -> str:
    """Tasks of the suite that were not measured yet, in words.

    Args:
        report: The report.

    Returns:
        Such as "cisi, npl (2 of 7 tasks)"; "" where nothing is missing.
    """
    if not report.missing:
        return ""
    # An average is no task of a suite, but follows from all of them.
    done = {result.task for result in report.results if result.kind != "average"}
    done |= {failure.task for failure in report.failures}
    count = f"{len(report.missing)} of {len(done | {*report.missing})} tasks"
    names = ", ".join(report.missing[:_MOST_NAMES])
    if len(report.missing) > _MOST_NAMES:
        names += f" and {len(report.missing) - _MOST_NAMES} more"
    return f"{names} ({count})"


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
        (name.replace("_", " "), spoken_value(value))
        for name, value in result.facts.items()
        if not isinstance(value, Mapping) and not (isinstance(value, list) and len(value) > _MANY)
    ]


def seconds_by_task(report: Report) -> dict[str, float]:
    """Task to the seconds that it took; work that several variants share counts once."""
    found: dict[str, dict[str, float]] = {}
    for result in report.results:
        found.setdefault(task_label(result), {}).update(result.seconds)
    return {task: sum(seconds.values()) for task, seconds in found.items() if seconds}


def efficiency_notes(report: Report) -> list[str]:
    """What must be known beside times: where they were taken, and what could not be.

    Args:
        report: The report.

    Returns:
        Sentences without repeats; empty without results of efficiency tasks.
    """
    found: dict[str, None] = {}
    for result in report.results:
        if result.kind == "efficiency":
            found |= dict.fromkeys(_efficiency_sentences(result))
    return list(found)


def _efficiency_sentences(result: TaskResult) -> Iterator[str]:
    facts = result.facts
    unable = facts.get("engines_that_cannot_run", ())
    if isinstance(unable, Mapping):
        yield from (f"{name} could not run here: {reason}." for name, reason in unable.items())
    elif unable:
        names = spoken_value(unable)
        yield f"{names} could not run here: not installed, or unable to load this model."
    if "device" in facts:
        yield f"Measured on {facts['device']}."
    computed = facts.get("computed_tokens_per_real_one", 1)
    if computed > 1:
        yield (
            f"{task_label(result)}: {result.variant} computes {computed:g} tokens for each real "
            "one, the rest is filling."
        )
