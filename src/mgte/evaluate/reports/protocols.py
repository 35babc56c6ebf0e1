"""Whether a number of ours may stand beside a published one: what differs in the protocol.

Loads no torch.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from mgte.evaluate.records import Report, TaskResult
from mgte.evaluate.reports.published import (
    Place,
    Published,
    publications,
    published_model,
    published_numbers,
    published_split,
)
from mgte.evaluate.reports.row import metric_name

# Settings by which a task measures, or learns from, less than all of its data.
_CUTS = ("max_queries", "max_documents", "max_items", "max_pairs", "stop")
_TRUNCATED = ("num_documents_truncated", "num_queries_truncated")
# Documents may be counted with or without empty ones.
_SIZE_TOLERANCE = 0.01


def numbers_beside(variant: str, place: Place | None, report: Report) -> tuple[Published, ...]:
    """Published numbers of what a row shows.

    Args:
        variant: How the models were used; "bm25" is BM25's whoever reports it, "reranked" the
            reranker's.
        place: What was measured; None for what nothing was published for.
        report: The report, for its models.

    Returns:
        The numbers.
    """
    if place is None:
        return ()
    model = {"bm25": "bm25", "reranked": report.reranker}.get(variant, report.model)
    return published_numbers(model, variant, place)


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


def _data_differences(result: TaskResult, published: Published) -> Iterator[str]:
    benchmark = publications().benchmarks[published.place.benchmark]
    part = benchmark.parts.get(published.place.part)
    if (published.metric or result.main_metric) not in result.metrics:
        yield f"published is {metric_name(published.metric)}"
    split = published_split(published.place)
    if split and result.split != split:
        yield f"published on {split}"
    # A collection or a file may be cut by itself, deep inside the task's settings.
    asked = [(name, value) for name, value in _flat(result.settings) if name in _CUTS and value]
    cuts = dict.fromkeys(f"{name} {value}" for name, value in asked)
    if cuts:
        yield f"measured with {', '.join(cuts)}"
    if "mean_over" in result.facts:
        yield from _missing_members(result, published.place)
    if part is None:
        return
    documents = result.facts.get("num_documents", 0)
    for measured, whole, what in (
        (result.num_items, part.queries, "queries"),
        (documents, part.documents, "documents"),
    ):
        if measured and whole and abs(measured - whole) > _SIZE_TOLERANCE * whole:
            yield f"{measured:,} of {whole:,} {what}"


def _missing_members(result: TaskResult, place: Place) -> Iterator[str]:
    """What a mean over subsets lacks of those that the published one has."""
    benchmark = publications().benchmarks[place.benchmark]
    part = benchmark.parts.get(place.part)
    members = benchmark.part_names if part is None else part.members
    whole = len(members) or (0 if part is None else part.num_subsets)
    count = len(result.facts["mean_over"])
    if whole and count != whole:
        yield f"mean of {count}, published of {whole}"


def _setting_differences(result: TaskResult, report: Report, published: Published) -> Iterator[str]:
    settings = {**report.settings, **result.settings}
    # mteb's results tell a smaller width by their variant, which nothing was published for.
    limit = "reranker_max_length" if published.first_stage else "max_length"
    max_length, dim = settings.get(limit), settings.get("dim")
    # The model's limit is looked at below; a training has one of its own, deeper inside.
    inner = {name: value for name, value in settings.items() if not name.endswith("max_length")}
    told = {**dict(_flat(inner)), **result.facts}
    for name, value in published.requires.items():
        if name in told and not _is_met(told[name], value):
            words = " to ".join(map(str, value)) if isinstance(value, list) else value
            yield f"{name.replace('_', ' ')}: {told[name]}, published with {words}"
    if published.variant == "bm25":
        return
    # Where no text was cut, a smaller limit changed nothing; a larger one may show more of a text.
    was_cut = any(result.facts.get(name, 1) for name in _TRUNCATED)
    if published.max_length and max_length:
        is_other = was_cut if max_length < published.max_length else True
        if max_length != published.max_length and is_other:
            yield f"at most {max_length:,} tokens, published with {published.max_length:,}"
    if dim and "@" not in result.variant and published.variant != "sparse":
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


def _is_met(value: Any, wanted: Any) -> bool:
    """Whether a value is the wanted one, or lies between two."""
    if not isinstance(wanted, list):
        return bool(value == wanted)
    low, high = wanted
    return isinstance(value, int | float) and low <= value <= high


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Settings by the last part of their path."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value)
        else:
            yield name, value
