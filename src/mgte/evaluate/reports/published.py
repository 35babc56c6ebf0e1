"""Numbers that others published, with their source, and which of them a result may stand beside.

The numbers are in `published.yaml`. Loads no torch.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from mgte.config import from_dict, read_yaml
from mgte.evaluate.records import TaskKind, TaskResult

_FILE = Path(__file__).with_name("published.yaml")
_NOT_ALPHANUMERIC = re.compile(r"[^a-z0-9]")
# What a subset is called where there is nothing to choose.
_WHOLE = ("", "default", "all")


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One collection of a benchmark.

    Attributes:
        names: Names under which it is known.
        stands_alone: Whether the names say enough without the benchmark's in front of them.
        queries: Queries, or texts, of the whole collection; 0 where they are not checked.
        documents: Its documents; 0 where they are not checked.
        split: Part of the data that is measured; "" means the benchmark's.
        members: Collections of which it is the mean, where it is one.
        num_subsets: Number of subsets, such as languages, of which it is the mean, where it is one.
    """

    names: tuple[str, ...] = ()
    stands_alone: bool = True
    queries: int = 0
    documents: int = 0
    split: str = ""
    members: tuple[str, ...] = ()
    num_subsets: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Benchmark:
    """What numbers were measured on.

    Attributes:
        title: Its name for people.
        names: Its names in reports.
        kind: Kind of its tasks; "" where it has several.
        metric: Published metric; "" for each task's main one.
        split: Part of the data; "" where it is not checked.
        max_length: Longest text in tokens, whatever the model takes; 0 means the model's.
        is_mean: Whether its number is the plain mean over its parts.
        parts: Name to collection.
        languages: Parts that are languages.
    """

    title: str
    names: tuple[str, ...]
    kind: TaskKind | Literal[""] = ""
    metric: str = ""
    split: str = ""
    max_length: int = 0
    is_mean: bool = False
    parts: Mapping[str, Part] = field(default_factory=dict)
    languages: tuple[str, ...] = ()

    @property
    def part_names(self) -> tuple[str, ...]:
        """Names of all parts."""
        return (*self.parts, *self.languages)


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedModel:
    """A model that something was published for.

    Attributes:
        names: Other names of it.
        max_length: Longest text in tokens of the published numbers; 0 where it is not checked.
    """

    names: tuple[str, ...] = ()
    max_length: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """One published table, or the part of it that has one setting.

    Attributes:
        source: Where it stands.
        setting: How it was measured.
        columns: Benchmark, benchmark/part, or either with @metric.
        rows: Model, way of using it, then one value per column or None.
        unit: "percent", or "plain" for values as they are.
        max_length: Longest text in tokens; 0 means the model's.
        first_stage: Model whose candidates were reranked; "" where nothing was.
        first_variant: How that model ranked.
        requires: Settings or facts that a result must not contradict; two numbers are a range.
    """

    source: str
    setting: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    unit: Literal["percent", "plain"] = "percent"
    max_length: int = 0
    first_stage: str = ""
    first_variant: str = "dense"
    requires: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Publications:
    """All published numbers.

    Attributes:
        benchmarks: Name to benchmark.
        models: Name to model.
        tables: The numbers.
    """

    benchmarks: Mapping[str, Benchmark]
    models: Mapping[str, PublishedModel]
    tables: tuple[Table, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a number belongs.

    Attributes:
        benchmark: Name of the benchmark.
        part: Name of its part; "" for the whole.
        member: What of the part, where that is a mean itself; "" for the whole part.
    """

    benchmark: str
    part: str = ""
    member: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """One published number.

    Attributes:
        model: Whose it is.
        variant: How the model was used.
        place: What it was measured on.
        metric: Metric; "" for the task's main one.
        value: 0 to 1 for metrics, plain for times.
        source: Where it stands.
        setting: How it was measured.
        max_length: Longest text in tokens; 0 where it is not checked.
        first_stage: Model whose candidates were reranked.
        first_variant: How that model ranked.
        requires: Settings or facts that a result must not contradict; two numbers are a range.
    """

    model: str
    variant: str
    place: Place
    metric: str
    value: float
    source: str
    setting: str
    max_length: int = 0
    first_stage: str = ""
    first_variant: str = ""
    requires: Mapping[str, Any] = field(default_factory=dict)


@lru_cache(maxsize=1)
def publications() -> Publications:
    """What `published.yaml` holds."""
    return from_dict(Publications, read_yaml(_FILE), _FILE.name)


def published_model(name: str) -> str | None:
    """The model of the tables that a name stands for.

    Args:
        name: Hub id, folder, `st:` and either, a server's address with `#model`, or a table's name.

    Returns:
        Its name in `published.yaml`; None if nothing was published for it.
    """
    # A folder counts by its own name: whoever fine-tunes a model gives the folder another one.
    wanted = re.split(r"[/#:]", name.rstrip("/"))[-1].lower()
    for known, model in publications().models.items():
        if wanted in (known.lower(), *(other.lower() for other in model.names)):
            return known
    return None


def place_of(result: TaskResult) -> Place | None:
    """The benchmark, or part of one, that a result was measured on.

    Args:
        result: The result.

    Returns:
        The place; None where the task is of no benchmark with published numbers.
    """
    places, benchmarks = _places(), publications().benchmarks
    subset = "" if result.subset in _WHOLE else result.subset
    keys = [result.task + subset] if subset else [result.task + result.language, result.task]
    for key in map(_folded, keys):
        place = places.get(key)
        if place and (_is_whole(result, place) or _is_of_kind(result, benchmarks[place.benchmark])):
            return place
    # A language of many is no mean over them: it is a member of its part, or has no place.
    whole = places.get(_folded(result.task))
    if not subset or whole is None or not whole.part:
        return None
    benchmark = benchmarks[whole.benchmark]
    is_mean = whole.part in benchmark.parts and benchmark.parts[whole.part].num_subsets > 0
    is_member = is_mean and _is_of_kind(result, benchmark)
    return replace(whole, member=subset) if is_member else None


def _is_whole(result: TaskResult, place: Place) -> bool:
    """Whether an average stands for a benchmark, whose tasks may be of one kind."""
    return result.kind == "average" and not place.part


def _is_of_kind(result: TaskResult, benchmark: Benchmark) -> bool:
    return benchmark.kind in ("", result.kind)


def published_numbers(model: str, variant: str, place: Place) -> tuple[Published, ...]:
    """Published numbers of a model.

    Args:
        model: Any name of it; "bm25" for BM25.
        variant: How it is used; "" and "dense" are the same.
        place: What is measured.

    Returns:
        The numbers, in the order of `published.yaml`; those of the main metric first.
    """
    known = published_model(model)
    found = [
        number
        for number in all_published()
        if (number.model, number.place) == (known, place)
        and (number.variant or "dense") == (variant or "dense")
    ]
    benchmark = publications().benchmarks[place.benchmark]
    return tuple(sorted(found, key=lambda number: number.metric not in ("", benchmark.metric)))


def published_split(place: Place) -> str:
    """The part of the data that the numbers of a place are of; "" where it is not checked."""
    benchmark = publications().benchmarks[place.benchmark]
    part = benchmark.parts.get(place.part)
    return (part.split if part else "") or benchmark.split


@lru_cache(maxsize=1)
def all_published() -> tuple[Published, ...]:
    """Every published number, in the order of `published.yaml`."""
    return tuple(number for table in publications().tables for number in _numbers(table))


def _numbers(table: Table) -> Iterator[Published]:
    everything = publications()
    for model, variant, *values in table.rows:
        for column, value in zip(table.columns, values, strict=True):
            if value is None:
                continue
            name, _, metric = column.partition("@")
            benchmark, _, part = name.partition("/")
            yield Published(
                model=model,
                variant=variant,
                place=Place(benchmark=benchmark, part=part),
                metric=metric or everything.benchmarks[benchmark].metric,
                # Ten digits: 66.5 / 100 is not 0.665.
                value=round(value / 100, 10) if table.unit == "percent" else float(value),
                source=table.source,
                setting=table.setting,
                max_length=table.max_length
                or everything.benchmarks[benchmark].max_length
                or everything.models[model].max_length,
                first_stage=table.first_stage,
                first_variant=table.first_variant if table.first_stage else "",
                requires=table.requires,
            )


@lru_cache(maxsize=1)
def _places() -> dict[str, Place]:
    """Folded name of a task, with its subset, to its place."""
    found: dict[str, Place] = {}
    for name, benchmark in publications().benchmarks.items():
        fronts = dict.fromkeys((name, *benchmark.names))
        for front in fronts:
            found[_folded(front)] = Place(benchmark=name)
            for language in benchmark.languages:
                found[_folded(front + language)] = Place(benchmark=name, part=language)
        for key, part in benchmark.parts.items():
            place = Place(benchmark=name, part=key)
            for alias in dict.fromkeys((key, *part.names)):
                for front in (*fronts, *([""] if part.stands_alone else [])):
                    found.setdefault(_folded(front + alias), place)
                    for member in part.members:
                        inside = replace(place, member=member)
                        found.setdefault(_folded(front + alias + member), inside)
    return found


def _folded(name: str) -> str:
    return _NOT_ALPHANUMERIC.sub("", name.lower())
