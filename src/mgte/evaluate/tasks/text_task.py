"""TextTask: what the tasks on texts share; each kind says only how it measures one part."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mgte.evaluate.records import TaskKind, TaskResult, WorstItem
from mgte.evaluate.significance import bootstrap_interval
from mgte.evaluate.subjects.subject import Subject
from mgte.evaluate.tasks.task import Task, TaskContext
from mgte.evaluate.tasks.text_parts import Measuring, TextPart, task_settings, text_parts
from mgte.evaluate.text_data import TextDataConfig, items_hash
from mgte.evaluate.text_data.items import TextItem


class TextTaskConfig(Protocol):
    """What the records of tasks on texts have in common."""

    @property
    def kind(self) -> TaskKind:
        """What kind of task."""
        ...

    @property
    def name(self) -> str:
        """Name of the task."""
        ...

    @property
    def data(self) -> TextDataConfig:
        """Where the texts lie."""
        ...


Config = TypeVar("Config", bound=TextTaskConfig)


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuredPart:
    """What one part of a task's data gave.

    Attributes:
        main_metric: The metric that stands in tables.
        metrics: Metric to value.
        items: What was read: the measured items first, then others that results follow from.
        values: Name of an item, or of an experiment, to its main metric, whose mean the metric is.
        limits: Least and largest value that the main metric can have.
        worst: Items that went worst.
        facts: Other numbers.
    """

    main_metric: str
    metrics: Mapping[str, float]
    items: tuple[Sequence[TextItem], ...]
    values: Mapping[str, float]
    limits: tuple[float, float] = (0.0, 1.0)
    worst: tuple[WorstItem, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


class TextTask(Task[Config]):
    """A task on texts in files, measured part by part (one part per subset)."""

    @property
    def kind(self) -> TaskKind:
        """What kind of task."""
        return self.config.kind

    def run(self, subject: Subject, context: TaskContext) -> list[TaskResult]:
        """Measure a subject.

        Args:
            subject: What is measured.
            context: How.

        Returns:
            One result per subset.

        Raises:
            DataError: The data or the model's vectors cannot be used.
            ConfigError: The subject has no encoder, or one without dense vectors.
            BackendUnavailableError: scikit-learn or SciPy is not installed.
        """
        encoder = subject.wanted_encoder(self.name, needs_dense=True)
        return [
            self._result(part, Measuring(encoder=encoder), context)
            for part in text_parts(self.config.data, self.root)
        ]

    @abstractmethod
    def measure(self, part: TextPart, measuring: Measuring, seed: int) -> MeasuredPart:
        """Measure one part.

        Args:
            part: The data.
            measuring: Embeds texts and takes the time.
            seed: Decides whatever is drawn.

        Returns:
            What was found.

        Raises:
            DataError: The data or the model's vectors cannot be used.
        """

    def _result(self, part: TextPart, measuring: Measuring, context: TaskContext) -> TaskResult:
        found = self.measure(part, measuring, context.seed)
        # A mean of influences may leave the range of the metric where items are few.
        low, high = np.clip(
            bootstrap_interval(list(found.values.values()), seed=context.seed), *found.limits
        )
        return TaskResult(
            task=self.name,
            kind=self.kind,
            main_metric=found.main_metric,
            metrics=found.metrics,
            num_items=len(found.items[0]),
            split=self.config.data.split,
            subset=part.subset,
            language=part.language,
            interval=(float(low), float(high)),
            per_item=found.values,
            worst=found.worst,
            facts=measuring.facts(**found.facts),
            settings=task_settings(self.config, context),
            seconds=measuring.seconds,
            dataset_hash=items_hash(*found.items),
        )


def by_item(items: Sequence[TextItem], values: NDArray[np.floating[Any]]) -> dict[str, float]:
    """Names of items to their values.

    Args:
        items: Items.
        values: One value each, `[num_items]`.

    Returns:
        In the order of the items.
    """
    return {item.item_id: float(value) for item, value in zip(items, values, strict=True)}
