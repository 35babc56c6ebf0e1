"""PairClassificationTask: does the similarity tell pairs that belong together from others?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mgte.errors import ConfigError
from mgte.evaluate.records import WorstItem
from mgte.evaluate.tasks.similarities import (
    average_precision_pulls,
    paired_similarities,
    threshold_metrics,
)
from mgte.evaluate.tasks.text_parts import (
    Measuring,
    TextPart,
    timed,
    worst_first,
    worst_item,
)
from mgte.evaluate.tasks.text_task import MeasuredPart, TextTask, by_item
from mgte.evaluate.text_data import (
    LabelledPair,
    TextDataConfig,
    drawn,
    labelled_pairs,
)

MAIN_METRIC = "cosine_ap"


@dataclass(frozen=True, kw_only=True, slots=True)
class PairClassificationConfig:
    """Pairs that belong together, or do not.

    Attributes:
        kind: "pair_classification".
        name: Name of the task.
        data: Where the pairs lie.
        first: Field of one text.
        second: Field of the other.
        label: Field of the label.
        positive: Labels of pairs that belong together.
        negative: Labels of pairs that do not.
        ignored: Labels of pairs that are left out.
    """

    kind: Literal["pair_classification"] = "pair_classification"
    name: str
    data: TextDataConfig
    first: str = "sentence1"
    second: str = "sentence2"
    label: str = "label"
    positive: tuple[str, ...] = ("1",)
    negative: tuple[str, ...] = ("0",)
    ignored: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        named = [*self.positive, *self.negative, *self.ignored]
        if len(set(named)) != len(named):
            raise ConfigError("positive: got a label that is negative or ignored too")
        if not self.positive or not self.negative:
            raise ConfigError("positive: got no positive or no negative label, expected both")


class PairClassificationTask(TextTask[PairClassificationConfig]):
    """Average precision of similarities. Source: mteb, `AbsTaskPairClassification`.

    For the cosine, the dot product, and Manhattan and Euclidean distances: average precision, and
    accuracy and F1 at the threshold that suits them best. Values per pair are its pull on the
    average precision of the cosine (its influence function), whose mean is exactly that number.
    """

    def _pairs(self, part: TextPart, seed: int) -> tuple[LabelledPair, ...]:
        pairs = labelled_pairs(
            part.rows(),
            first=part.field(self.config.first),
            second=part.field(self.config.second),
            label=part.field(self.config.label),
            positive=self.config.positive,
            negative=self.config.negative,
            ignored=self.config.ignored,
        )
        return drawn(pairs, self.config.data.max_items, seed)

    def measure(self, part: TextPart, measuring: Measuring, seed: int) -> MeasuredPart:
        """See `TextTask.measure`."""
        pairs = self._pairs(part, seed)
        is_positive = np.array([pair.is_positive for pair in pairs])
        vectors = measuring.vectors([p.first for p in pairs] + [p.second for p in pairs])
        with timed(measuring.seconds, "score"):
            similarities = paired_similarities(vectors[: len(pairs)], vectors[len(pairs) :])
            metrics = {
                f"{name}_{metric}": value
                for name, values in similarities.items()
                for metric, value in threshold_metrics(values, is_positive).items()
            }
            for metric in ("ap", "accuracy", "f1"):
                metrics[f"max_{metric}"] = max(metrics[f"{name}_{metric}"] for name in similarities)
            pulls = average_precision_pulls(similarities["cosine"], is_positive)
        return MeasuredPart(
            main_metric=MAIN_METRIC,
            metrics=metrics,
            items=(pairs,),
            values=by_item(pairs, pulls),
            worst=_worst(pairs, is_positive, similarities["cosine"]),
            facts={
                "num_positive": int(is_positive.sum()),
                "positive_share": float(is_positive.mean()),
            },
        )


def _worst(
    pairs: Sequence[LabelledPair],
    is_positive: NDArray[np.bool_],
    similarities: NDArray[np.float64],
) -> tuple[WorstItem, ...]:
    """Positive pairs below most negative ones, and negative pairs above most positive ones."""
    positive, negative = np.sort(similarities[is_positive]), np.sort(similarities[~is_positive])
    below = 1.0 - np.searchsorted(negative, similarities, side="left") / len(negative)
    above = np.searchsorted(positive, similarities, side="right") / len(positive)
    wrong = np.where(is_positive, below, above)
    return tuple(
        worst_item(
            pairs[row].item_id,
            -float(wrong[row]),
            f"{pairs[row].first} | {pairs[row].second}",
            f"label {pairs[row].label}",
            f"cosine {similarities[row]:.3f}, {'below' if is_positive[row] else 'above'} "
            f"{wrong[row]:.0%} of the {'negative' if is_positive[row] else 'positive'} pairs",
        )
        for row in worst_first(-wrong)
    )
