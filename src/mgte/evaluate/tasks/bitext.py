"""BitextTask: is the nearest sentence of the other language the translation?"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mgte.evaluate.records import TaskKind, TaskResult, WorstItem
from mgte.evaluate.significance import bootstrap_interval
from mgte.evaluate.subjects.subject import Subject
from mgte.evaluate.tasks.task import TaskContext
from mgte.evaluate.tasks.text_parts import (
    FloatArray,
    Measuring,
    TextPart,
    task_settings,
    text_parts,
    timed,
    worst_first,
    worst_item,
)
from mgte.evaluate.text_data import (
    TextDataConfig,
    TranslationPair,
    drawn,
    items_hash,
    translation_pairs,
)

_ROWS_PER_BLOCK = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class BitextConfig:
    """Sentences and their translations.

    Attributes:
        kind: "bitext".
        name: Name of the task.
        data: Where the pairs lie.
        source: Field of the sentence.
        target: Field of its translation.
        main_metric: "accuracy", as XTREME reports Tatoeba, or "f1", as mteb does.
    """

    kind: Literal["bitext"] = "bitext"
    name: str
    data: TextDataConfig
    source: str = "source"
    target: str = "target"
    main_metric: Literal["accuracy", "f1"] = "accuracy"


class BitextTask:
    """The nearest target of each source, and the other way round. Source: mteb, XTREME.

    "accuracy" is the share of sources whose nearest target is their translation; "precision",
    "recall" and "f1" weigh each target alike, as mteb does. Names with "_back" go from targets to
    sources; "accuracy_both" asks for both ways at once. Fewer sentences make the task easier:
    compare numbers of equal size only.

    Args:
        config: Settings.
        root: Folder that paths stand below.
    """

    def __init__(self, config: BitextConfig, root: Path) -> None:
        self.config = config
        self.root = root

    @property
    def name(self) -> str:
        """Name of the task."""
        return self.config.name

    @property
    def kind(self) -> TaskKind:
        """What kind of task."""
        return "bitext"

    def run(self, subject: Subject, context: TaskContext) -> list[TaskResult]:
        """Measure a subject.

        Args:
            subject: What is measured.
            context: How.

        Returns:
            One result per subset.

        Raises:
            DataError: The data or the model's vectors cannot be used.
            ConfigError: The subject has no encoder.
        """
        encoder = subject.wanted_encoder(self.name)
        return [
            self._measure(part, Measuring(encoder=encoder), context)
            for part in text_parts(self.config.data, self.root)
        ]

    def _measure(self, part: TextPart, measuring: Measuring, context: TaskContext) -> TaskResult:
        pairs = drawn(
            translation_pairs(
                part.rows(),
                source=part.field(self.config.source),
                target=part.field(self.config.target),
            ),
            self.config.data.max_items,
            context.seed,
        )
        sources = measuring.vectors([pair.source for pair in pairs])
        targets = measuring.vectors([pair.target for pair in pairs])
        with timed(measuring.seconds, "score"):
            forth, back = nearest(sources, targets), nearest(targets, sources)
            values, values_back = match_values(forth), match_values(back)
        metrics = {name: float(per_item.mean()) for name, per_item in values.items()}
        metrics |= {f"{name}_back": float(v.mean()) for name, v in values_back.items()}
        both = values["accuracy"] * values_back["accuracy"]
        metrics["accuracy_both"] = float(both.mean())
        main = values[self.config.main_metric]
        return TaskResult(
            task=self.name,
            kind="bitext",
            main_metric=self.config.main_metric,
            metrics=metrics,
            num_items=len(pairs),
            split=self.config.data.split,
            subset=part.subset,
            language=part.language,
            interval=bootstrap_interval(main, seed=context.seed),
            per_item={p.item_id: float(v) for p, v in zip(pairs, main, strict=True)},
            worst=_worst(pairs, sources, targets, forth),
            facts=measuring.facts(num_distinct_targets=len({pair.target for pair in pairs})),
            settings=task_settings(self.config, context),
            seconds=measuring.seconds,
            dataset_hash=items_hash(pairs),
        )


def nearest(queries: FloatArray, documents: FloatArray) -> NDArray[np.int64]:
    """The row of the documents with the largest inner product with each query.

    Args:
        queries: float `[num_queries, width]`.
        documents: float `[num_documents, width]`.

    Returns:
        int64 `[num_queries]`; of equal ones the first.
    """
    blocks = [
        (queries[start : start + _ROWS_PER_BLOCK] @ documents.T).argmax(axis=1)
        for start in range(0, len(queries), _ROWS_PER_BLOCK)
    ]
    return np.concatenate(blocks).astype(np.int64)


def match_values(found: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Metrics of single sentences, where row i belongs to row i.

    Each row is a class of one true member. What is predicted for it counts all rows that found it:
    precision 1 / (how many), recall 1, F1 2 / (1 + how many), if its own row is among them, else 0.

    Args:
        found: int64 `[num_rows]`, the row that each row found.

    Returns:
        "accuracy", "precision", "recall" and "f1" per row; their means are scikit-learn's weighted
        averages over all classes.
    """
    is_right = (found == np.arange(len(found))).astype(np.float64)
    times = np.maximum(np.bincount(found, minlength=len(found)), 1)
    return {
        "accuracy": is_right,
        "precision": is_right / times,
        "recall": is_right,
        "f1": 2.0 * is_right / (1.0 + times),
    }


def _worst(
    pairs: Sequence[TranslationPair],
    sources: FloatArray,
    targets: FloatArray,
    found: NDArray[np.int64],
) -> tuple[WorstItem, ...]:
    """Sources whose translation lies farthest behind what was found."""
    right = np.einsum("ij,ij->i", sources, targets)
    margins = right - np.einsum("ij,ij->i", sources, targets[found])
    is_wrong = found != np.arange(len(found))
    return tuple(
        worst_item(
            pairs[row].item_id,
            float(margins[row]),
            pairs[row].source,
            pairs[row].target,
            pairs[int(found[row])].target,
        )
        for row in worst_first(np.where(is_wrong, margins, np.inf))
        if is_wrong[row]
    )
