"""Means over benchmarks, and over the languages or forums of one collection, as tables print them.

A mean is compared with a published one only where nothing is missing and every part was measured by
the published protocol. Loads no torch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from mgte.evaluate.records import Report, TaskResult
from mgte.evaluate.reports.protocols import numbers_beside, protocol_differences
from mgte.evaluate.reports.published import (
    Benchmark,
    Place,
    Published,
    place_of,
    publications,
    published_split,
)
from mgte.evaluate.reports.row import ReportRow, metric_name

# Results of one part; one of them unless it is a mean itself.
Parts = Mapping[str, Sequence[TaskResult]]
_MOST_NOTES = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class _Measured:
    """Parts of a benchmark that were measured in one way.

    Attributes:
        name: Name of the benchmark.
        variant: How the model was used.
        parts: Part to its results.
        has_mean: Whether a result is the mean over the benchmark already.
    """

    name: str
    variant: str
    parts: Parts
    has_mean: bool = False

    @property
    def benchmark(self) -> Benchmark:
        """The benchmark."""
        return publications().benchmarks[self.name]


def mean_rows(report: Report) -> Iterator[ReportRow]:
    """Rows of means: parts that have several members first, then whole benchmarks.

    Args:
        report: The report.

    Yields:
        A row wherever at least two values were measured.
    """
    for measured in _measured(report):
        for part, results in measured.parts.items():
            if len(results) > 1:
                for metric in _metrics(measured, part, results, report):
                    yield _part_row(measured, part, metric, report)
        if measured.benchmark.is_mean and len(measured.parts) > 1 and not measured.has_mean:
            yield _benchmark_row(measured, report)


def _measured(report: Report) -> list[_Measured]:
    groups: dict[tuple[str, str], dict[str, list[TaskResult]]] = {}
    wholes: set[tuple[str, ...]] = set()
    for result in report.results:
        place = place_of(result)
        if place is None:
            continue
        key = (place.benchmark, result.variant)
        if not place.member:
            wholes.add((*key, place.part))
        if place.part:
            groups.setdefault(key, {}).setdefault(place.part, []).append(result)
    return [
        _Measured(
            name=name,
            variant=variant,
            parts={
                part: _of_one_split(
                    _without_members(results) if (name, variant, part) in wholes else results,
                    Place(benchmark=name, part=part),
                )
                for part, results in parts.items()
            },
            has_mean=(name, variant, "") in wholes,
        )
        for (name, variant), parts in groups.items()
    ]


def _of_one_split(results: Sequence[TaskResult], place: Place) -> Sequence[TaskResult]:
    """Results of the published split, where others were measured too."""
    wanted = published_split(place)
    return [result for result in results if result.split == wanted] or results


def _without_members(results: Sequence[TaskResult]) -> list[TaskResult]:
    """The means that tasks gave themselves, without what they are means of."""
    return [result for result in results if not (place := place_of(result)) or not place.member]


def _metrics(
    measured: _Measured, part: str, results: Sequence[TaskResult], report: Report
) -> list[str]:
    """The main metric, and others that something was published for and all results have."""
    place = Place(benchmark=measured.name, part=part)
    main = results[0].main_metric
    published = [n.metric or main for n in numbers_beside(measured.variant, place, report)]
    return [
        metric
        for metric in dict.fromkeys([main, *published])
        if all(metric in result.metrics for result in results)
    ]


def _part_row(measured: _Measured, part: str, metric: str, report: Report) -> ReportRow:
    results = measured.parts[part]
    place = Place(benchmark=measured.name, part=part)
    main = results[0].main_metric
    found = numbers_beside(measured.variant, place, report)
    numbers = [number for number in found if (number.metric or main) == metric]
    whole = _num_members(measured.benchmark, part)
    count = str(len(results)) if len(results) == whole else f"{len(results)} of {whole}"
    label = f"{results[0].task if _is_one_task(results) else part}: mean of {count}"
    return _row(label, metric, results, _part_value(results, metric), numbers, [], report, measured)


def _benchmark_row(measured: _Measured, report: Report) -> ReportRow:
    benchmark, parts = measured.benchmark, measured.parts
    results = [result for found in parts.values() for result in found]
    metric = results[0].main_metric
    having = [found for found in parts.values() if all(metric in r.metrics for r in found)]
    value = sum(_part_value(found, metric) for found in having) / len(having)
    numbers = numbers_beside(measured.variant, Place(benchmark=measured.name), report)
    missing = [name for name in benchmark.part_names if name not in parts]
    whole = len(benchmark.part_names)
    notes = [f"{len(missing)} of {whole} parts missing"] if missing else []
    count = f"{len(parts)} of {whole}" if missing else str(whole)
    label = f"{benchmark.title}: mean of {count}"
    return _row(label, metric, results, value, list(numbers), notes, report, measured)


def _row(
    label: str,
    metric: str,
    results: Sequence[TaskResult],
    value: float,
    numbers: Sequence[Published],
    notes: Sequence[str],
    report: Report,
    measured: _Measured,
) -> ReportRow:
    row = ReportRow(
        kind=results[0].kind,
        task=label,
        variant=measured.variant,
        metric=metric_name(metric),
        value=value,
        num_items=sum(result.num_items for result in results),
    )
    if not numbers:
        return row
    differences = [list(_differences(measured, results, number, report)) for number in numbers]
    nearest = min(range(len(numbers)), key=lambda index: len(differences[index]))
    published, told = numbers[nearest], [*notes, *differences[nearest]]
    if len(told) > _MOST_NOTES:
        told = [*told[:_MOST_NOTES], f"{len(told) - _MOST_NOTES} more differences"]
    return replace(
        row,
        published=published,
        others=tuple(number for number in numbers if number is not published),
        difference=None if told else value - published.value,
        notes=tuple(told),
    )


def _differences(
    measured: _Measured, results: Sequence[TaskResult], published: Published, report: Report
) -> Iterator[str]:
    """What differs in any part that a mean stands on, and what such a part lacks."""
    for part, found in measured.parts.items():
        if not any(result in results for result in found):
            continue
        whole = _num_members(measured.benchmark, part)
        # A mean that a task gave itself tells what it lacks below.
        if len(found) != whole and not any("mean_over" in result.facts for result in found):
            yield f"{part}: {len(found)} of {whole}"
        beside = replace(published, place=Place(benchmark=measured.name, part=part))
        told = [note for result in found for note in protocol_differences(result, report, beside)]
        for note in dict.fromkeys(told):
            yield f"{part}: {note}"


def _num_members(benchmark: Benchmark, part: str) -> int:
    known = benchmark.parts.get(part)
    return 1 if known is None else len(known.members) or known.num_subsets or 1


def _part_value(results: Sequence[TaskResult], metric: str) -> float:
    return sum(result.metrics[metric] for result in results) / len(results)


def _is_one_task(results: Sequence[TaskResult]) -> bool:
    return len({result.task for result in results}) == 1
