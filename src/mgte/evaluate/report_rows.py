"""Rows of a report: every result, and means over benchmarks, beside the published number.

A difference is given only where the protocol is the same; otherwise the row says what differs.
Loads no torch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mgte.evaluate.published import (
    Place,
    Published,
    place_of,
    publications,
    published_model,
    published_numbers,
)
from mgte.evaluate.records import Report, TaskKind, TaskResult

KIND_TITLES: Mapping[TaskKind, str] = {
    "retrieval": "Retrieval",
    "reranking": "Reranking",
    "sts": "Semantic similarity",
    "classification": "Classification",
    "clustering": "Clustering",
    "pair_classification": "Pair classification",
    "bitext": "Translations",
    "fine_tuning": "Fine-tuning",
    "efficiency": "Efficiency",
}
_METRIC_NAMES = {
    "ndcg_at_10": "nDCG@10",
    "map": "MAP",
    "mrr_at_10": "MRR@10",
    "recall_at_100": "recall@100",
    "answer_recall_at_20": "answer recall@20",
    "v_measure": "V-measure",
    "macro_f1": "macro F1",
    "spearman": "Spearman",
    "pearson": "Pearson",
    "average_precision": "average precision",
}
# Settings by which a task measures less than all of its data.
_CUTS = ("max_queries", "max_documents", "max_items", "max_pairs")
_TRUNCATED = ("num_documents_truncated", "num_queries_truncated")
# Documents may be counted with or without empty ones.
_SIZE_TOLERANCE = 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportRow:
    """One row of a report's tables.

    Attributes:
        kind: Kind of the task.
        task: What was measured, with subset, and split where it is not "test".
        variant: How the model was used.
        metric: Name of the metric, for people.
        value: Its value.
        interval: 95 % interval; None where there is none.
        num_items: Queries, pairs or texts.
        published: The published number beside which it stands.
        others: More published numbers of the same thing.
        difference: Value less the published one; None where the protocols differ.
        notes: Why there is no difference.
        result: What was measured; None for a mean over a benchmark.
    """

    kind: TaskKind
    task: str
    variant: str
    metric: str
    value: float
    interval: tuple[float, float] | None = None
    num_items: int = 0
    published: Published | None = None
    others: tuple[Published, ...] = ()
    difference: float | None = None
    notes: tuple[str, ...] = ()
    result: TaskResult | None = field(default=None, repr=False)

    @property
    def is_mean(self) -> bool:
        """Whether this is the mean over a benchmark."""
        return self.result is None


def report_rows(report: Report) -> tuple[ReportRow, ...]:
    """Rows of all results, then means over benchmarks of which several parts were measured.

    Args:
        report: The report.

    Returns:
        Rows in the order of the report, means behind the results of their kind.
    """
    rows = [row for result in report.results for row in _rows_of(result, report)]
    means = list(_mean_rows(report))
    kinds = dict.fromkeys(result.kind for result in report.results)
    return tuple(row for kind in kinds for row in (*rows, *means) if row.kind == kind)


def rows_by_kind(report: Report) -> dict[TaskKind, tuple[ReportRow, ...]]:
    """Rows of `report_rows`, kind by kind."""
    rows = report_rows(report)
    return {
        kind: tuple(row for row in rows if row.kind == kind)
        for kind in dict.fromkeys(row.kind for row in rows)
    }


def metric_name(metric: str) -> str:
    """A metric's name for people."""
    return _METRIC_NAMES.get(metric, metric.replace("_at_", "@").replace("_", " "))


def task_label(result: TaskResult) -> str:
    """Task with its subset, and its split where that is not "test"."""
    details = [result.subset] if result.subset not in ("", "default") else []
    details += [result.split] if result.split not in ("", "test") else []
    return f"{result.task} ({', '.join(details)})" if details else result.task


def protocol_differences(
    result: TaskResult, report: Report, published: Published
) -> tuple[str, ...]:
    """What differs between how we measured and how a published number was.

    Args:
        result: Ours.
        report: The report that it stands in.
        published: The published number.

    Returns:
        One short phrase per difference; empty where the numbers may be compared.
    """
    return (
        *_data_differences(result, published),
        *_setting_differences(result, report, published),
        *_first_stage_differences(result, report, published),
    )


def _rows_of(result: TaskResult, report: Report) -> Iterator[ReportRow]:
    """One row for the main metric, and one for every other that something was published for."""
    numbers = _numbers_beside(result.variant, place_of(result), report)
    by_metric: dict[str, list[Published]] = {result.main_metric: []}
    for number in numbers:
        metric = number.metric or result.main_metric
        # What we did not measure stands beside the main metric, without a difference.
        by_metric.setdefault(metric if metric in result.metrics else result.main_metric, []).append(
            number
        )
    for metric, beside in by_metric.items():
        yield _row(result, metric, beside, report)


def _row(
    result: TaskResult, metric: str, numbers: Sequence[Published], report: Report
) -> ReportRow:
    row = ReportRow(
        kind=result.kind,
        task=task_label(result),
        variant=result.variant,
        metric=metric_name(metric),
        value=result.metrics[metric],
        interval=result.interval if metric == result.main_metric else None,
        num_items=result.num_items,
        result=result,
    )
    if not numbers:
        return row
    published = min(numbers, key=lambda number: len(protocol_differences(result, report, number)))
    notes = protocol_differences(result, report, published)
    return replace(
        row,
        published=published,
        others=tuple(number for number in numbers if number is not published),
        difference=None if notes else row.value - published.value,
        notes=notes,
    )


def _numbers_beside(variant: str, place: Place | None, report: Report) -> tuple[Published, ...]:
    if place is None:
        return ()
    model = {"bm25": "bm25", "reranked": report.reranker}.get(variant, report.model)
    return published_numbers(model, variant, place)


def _data_differences(result: TaskResult, published: Published) -> Iterator[str]:
    benchmark = publications().benchmarks[published.place.benchmark]
    part = benchmark.parts.get(published.place.part)
    if (published.metric or result.main_metric) not in result.metrics:
        yield f"published is {metric_name(published.metric)}"
    split = (part.split if part else "") or benchmark.split
    if split and result.split != split:
        yield f"published on {split}"
    asked = {**result.settings, **(result.settings.get("task") or {})}
    cuts = [f"{name} {asked[name]}" for name in _CUTS if asked.get(name)]
    if cuts:
        yield f"measured with {', '.join(cuts)}"
    if part is None:
        return
    documents = result.facts.get("num_documents", 0)
    for measured, whole, what in (
        (result.num_items, part.queries, "queries"),
        (documents, part.documents, "documents"),
    ):
        if measured and whole and abs(measured - whole) > _SIZE_TOLERANCE * whole:
            yield f"{measured:,} of {whole:,} {what}"


def _setting_differences(result: TaskResult, report: Report, published: Published) -> Iterator[str]:
    settings = {**report.settings, **result.settings}
    max_length, dim = settings.get("max_length"), settings.get("dim")
    if published.variant == "bm25":
        return
    # Where no text was cut, the limit changed nothing.
    was_cut = any(result.facts.get(name, 1) for name in _TRUNCATED)
    if published.max_length and max_length and max_length < published.max_length and was_cut:
        yield f"at most {max_length:,} tokens, published with {published.max_length:,}"
    if dim and "@" not in result.variant:
        yield f"first {dim} dimensions"


def _first_stage_differences(
    result: TaskResult, report: Report, published: Published
) -> Iterator[str]:
    if not published.first_stage:
        return
    if published_model(report.model) != published.first_stage:
        yield f"published on candidates of {published.first_stage}"
    ranking = result.facts.get("first_stage", result.settings.get("first_stage", "unknown"))
    if ranking != published.first_variant:
        yield f"published on {published.first_variant} candidates, these are {ranking}"


def _mean_rows(report: Report) -> Iterator[ReportRow]:
    groups: dict[tuple[str, str], dict[str, TaskResult]] = {}
    for result in report.results:
        place = place_of(result)
        if place and place.part and publications().benchmarks[place.benchmark].is_mean:
            groups.setdefault((place.benchmark, result.variant), {})[place.part] = result
    for (name, variant), parts in groups.items():
        if len(parts) > 1:
            yield _mean_row(name, variant, parts, report)


def _mean_row(
    name: str, variant: str, parts: Mapping[str, TaskResult], report: Report
) -> ReportRow:
    benchmark = publications().benchmarks[name]
    results = list(parts.values())
    metric = results[0].main_metric
    values = [result.metrics[metric] for result in results if metric in result.metrics]
    mean = sum(values) / len(values)
    numbers = _numbers_beside(variant, Place(benchmark=name), report)
    published = numbers[0] if numbers else None
    notes = _mean_notes(parts, report, published)
    count, whole = len(results), len(benchmark.part_names)
    number = f"{count}" if count == whole else f"{count} of {whole}"
    return ReportRow(
        kind=results[0].kind,
        task=f"{benchmark.title}: mean of {number}",
        variant=variant,
        metric=metric_name(metric),
        value=mean,
        num_items=sum(result.num_items for result in results),
        published=published,
        others=numbers[1:],
        difference=None if notes or published is None else mean - published.value,
        notes=notes if published else (),
    )


def _mean_notes(
    parts: Mapping[str, TaskResult], report: Report, published: Published | None
) -> tuple[str, ...]:
    """Why a mean must not be compared: parts that are missing, and what differs in any part."""
    if published is None:
        return ()
    benchmark = publications().benchmarks[published.place.benchmark]
    missing: Sequence[str] = [name for name in benchmark.part_names if name not in parts]
    notes = [f"{len(missing)} of {len(benchmark.part_names)} parts missing"] if missing else []
    for part, result in parts.items():
        beside = replace(published, place=replace(published.place, part=part))
        notes += [f"{part}: {note}" for note in protocol_differences(result, report, beside)]
    return tuple(notes)
