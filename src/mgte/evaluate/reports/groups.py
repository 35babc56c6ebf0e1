"""Results of a report seen from other sides: by language, and by length of the text.

Loads no torch.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mgte.evaluate.records import Report, TaskResult

# Item to the length of its text, as tasks tell it among their facts, and what a length counts.
LENGTH_FACTS: Mapping[str, str] = {
    "item_tokens": "tokens",
    "item_characters": "characters of the text",
    "item_document_characters": "characters of the relevant document",
}
_LEAST_ITEMS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class LanguageGroup:
    """Values of one metric by language.

    Attributes:
        kind: Kind of the tasks.
        metric: Their main metric.
        values: Language to variant to the mean over its tasks.
        num_tasks: Language to number of tasks.
    """

    kind: str
    metric: str
    values: Mapping[str, Mapping[str, float]]
    num_tasks: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class LengthGroup:
    """Items whose texts are about equally long.

    Attributes:
        low: Shortest length that belongs here.
        high: Lengths below it belong here.
        num_items: How many items.
        mean: Mean of their main metric.
    """

    low: int
    high: int
    num_items: int
    mean: float

    @property
    def label(self) -> str:
        """The range in words."""
        return f"{self.low}-{self.high - 1}"


def groups_by_language(report: Report) -> tuple[LanguageGroup, ...]:
    """Means by language of each kind of task.

    Args:
        report: The report.

    Returns:
        One record per kind and metric that was measured in at least two languages; languages that
        have the same tasks can be compared, others only roughly.
    """
    found: dict[tuple[str, str], dict[str, dict[str, list[TaskResult]]]] = {}
    for result in report.results:
        if result.language:
            languages = found.setdefault((result.kind, result.main_metric), {})
            languages.setdefault(result.language, {}).setdefault(result.variant, []).append(result)
    return tuple(
        LanguageGroup(
            kind=kind,
            metric=metric,
            values={
                language: {variant: _mean(results) for variant, results in variants.items()}
                for language, variants in sorted(languages.items())
            },
            num_tasks={
                language: max(len(results) for results in variants.values())
                for language, variants in languages.items()
            },
        )
        for (kind, metric), languages in found.items()
        if len(languages) > 1
    )


def groups_by_length(
    per_item: Mapping[str, float], lengths: Mapping[str, int]
) -> tuple[LengthGroup, ...]:
    """Means by length, in ranges that double.

    Args:
        per_item: Item to its value.
        lengths: Item to the length of its text.

    Returns:
        Ranges from short to long; one with fewer than 5 items is joined with its neighbour.
    """
    bins: dict[int, list[float]] = {}
    for item, value in per_item.items():
        if item in lengths:
            bins.setdefault(int(math.log2(max(lengths[item], 1))), []).append(value)
    ranges = [(2**power, 2 ** (power + 1), values) for power, values in sorted(bins.items())]
    kept: list[tuple[int, int, list[float]]] = []
    for low, high, values in ranges:
        if kept and min(len(values), len(kept[-1][2])) < _LEAST_ITEMS:
            first, _, others = kept.pop()
            kept.append((first, high, [*others, *values]))
        else:
            kept.append((low, high, values))
    return tuple(
        LengthGroup(low=low, high=high, num_items=len(values), mean=sum(values) / len(values))
        for low, high, values in kept
    )


def item_lengths(result: TaskResult) -> dict[str, Mapping[str, int]]:
    """Lengths of a result's items as its facts tell them.

    Args:
        result: The result.

    Returns:
        What a length counts to item to length; empty where nothing is known.
    """
    found = {name: result.facts.get(fact) for fact, name in LENGTH_FACTS.items()}
    return {
        name: lengths
        for name, lengths in found.items()
        if isinstance(lengths, Mapping) and lengths and result.per_item
    }


def _mean(results: Sequence[TaskResult]) -> float:
    return sum(result.main for result in results) / len(results)
