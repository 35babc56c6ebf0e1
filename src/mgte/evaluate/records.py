"""TaskResult and Report: what was measured, as records that JSON holds. Loads no torch."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from mgte.config import from_dict
from mgte.errors import DataError
from mgte.text import replace_text

TaskKind = Literal[
    "retrieval",
    "reranking",
    "sts",
    "classification",
    "clustering",
    "pair_classification",
    "bitext",
    "fine_tuning",
    "efficiency",
    # A mean over tasks of several kinds: a whole benchmark.
    "average",
]
FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class WorstItem:
    """An item that went badly, for people who want to know why.

    Attributes:
        item_id: Which query, pair or text.
        value: Its main metric, or how far off it was.
        text: What was asked.
        expected: What would have been right.
        found: What the model gave.
    """

    item_id: str
    value: float
    text: str
    expected: str = ""
    found: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskResult:
    """One way of using a model, on one part of a task.

    Attributes:
        task: Name of the task.
        kind: What kind of task.
        main_metric: The metric that stands in tables.
        metrics: Metric to value, 0 to 1 (correlations -1 to 1).
        num_items: Queries, pairs or texts that were measured.
        variant: How the model was used, such as "hybrid" or "dense@256"; "" where there is one way.
        split: Part of the data.
        subset: Configuration of the data, often a language; "" where there is one.
        language: Language of the texts, or both of a pair ("en-de"); "" where unknown or mixed.
        interval: 95 % interval of the main metric.
        per_item: Item to its main metric, for significance.
        worst: Items that went worst.
        facts: Sizes, truncated texts and other numbers.
        settings: What was asked for.
        seconds: Part of the work to how long it took.
        dataset_hash: Hash of the data that was read.
    """

    task: str
    kind: TaskKind
    main_metric: str
    metrics: Mapping[str, float]
    num_items: int
    variant: str = ""
    split: str = "test"
    subset: str = ""
    language: str = ""
    interval: tuple[float, float] | None = None
    per_item: Mapping[str, float] = field(default_factory=dict, repr=False)
    worst: tuple[WorstItem, ...] = field(default=(), repr=False)
    facts: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    dataset_hash: str = ""

    @property
    def main(self) -> float:
        """The main metric's value."""
        return self.metrics[self.main_metric]


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A task that could not be measured.

    Attributes:
        task: Its name.
        error: What went wrong.
    """

    task: str
    error: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """Everything that one command measured.

    Attributes:
        model: Name of the model.
        revision: Its revision, or a hash of its weights.
        reranker: Name of the reranker; "" without one.
        suite: Name of the suite; "" for single collections.
        settings: Settings that all tasks share.
        versions: Package to version.
        machine: Processor, cores, memory, device.
        created: Time of the end, ISO 8601, UTC.
        results: What was measured.
        failures: What could not be.
        missing: Tasks of the suite that were not measured yet.
        format_version: Version of this layout.
    """

    model: str
    revision: str = ""
    reranker: str = ""
    suite: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    created: str = ""
    results: tuple[TaskResult, ...] = ()
    failures: tuple[Failure, ...] = ()
    missing: tuple[str, ...] = ()
    format_version: int = FORMAT_VERSION


def write_report(report: Report, path: Path) -> None:
    """Write a report as JSON; the file appears whole or not at all.

    Args:
        report: The report.
        path: The file.
    """
    replace_text(path, json.dumps(asdict(report), ensure_ascii=False, indent=1) + "\n")


def read_report(path: str | Path) -> Report:
    """Read a report.

    Args:
        path: JSON file of `write_report`, or the folder that `mgte evaluate --out` made.

    Returns:
        The report.

    Raises:
        DataError: There is no such file, or it is no report.
    """
    path = Path(path)
    file = path / "report.json" if path.is_dir() else path
    try:
        values = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise DataError(f"{file}: is no JSON ({error})") from error
    version = values.get("format_version") if isinstance(values, dict) else None
    if version != FORMAT_VERSION:
        raise DataError(f"{file}: got format version {version}, expected {FORMAT_VERSION}")
    return from_dict(Report, values)
