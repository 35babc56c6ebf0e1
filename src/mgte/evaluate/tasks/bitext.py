"""BitextTask: is the nearest sentence of the other language the translation?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mgte.evaluate.records import WorstItem
from mgte.evaluate.tasks.text_parts import (
    FloatArray,
    Measuring,
    TextPart,
    timed,
    worst_first,
    worst_item,
)
from mgte.evaluate.tasks.text_task import MeasuredPart, TextTask, by_item
from mgte.evaluate.text_data import (
    TextDataConfig,
    TranslationPair,
    drawn,
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


class BitextTask(TextTask[BitextConfig]):
    """The nearest target of each source, and the other way round. Source: mteb, XTREME.

    "accuracy" is the share of sources whose nearest target is their translation; "precision",
    "recall" and "f1" weigh each target alike, as mteb does. Names with "_back" go from targets to
    sources; "accuracy_both" asks for both ways at once. Fewer sentences make the task easier:
    compare numbers of equal size only.
    """

    def measure(self, part: TextPart, measuring: Measuring, seed: int) -> MeasuredPart:
        """See `TextTask.measure`."""
        pairs = drawn(
            translation_pairs(
                part.rows(),
                source=part.field(self.config.source),
                target=part.field(self.config.target),
            ),
            self.config.data.max_items,
            seed,
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
        return MeasuredPart(
            main_metric=self.config.main_metric,
            metrics=metrics,
            items=(pairs,),
            values=by_item(pairs, values[self.config.main_metric]),
            worst=_worst(pairs, sources, targets, forth),
            facts={"num_distinct_targets": len({pair.target for pair in pairs})},
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
