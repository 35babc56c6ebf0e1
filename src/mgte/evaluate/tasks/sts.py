"""StsTask: do similarities of pairs follow what people say?"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mgte.errors import ConfigError
from mgte.evaluate.records import WorstItem
from mgte.evaluate.tasks.similarities import paired_similarities
from mgte.evaluate.tasks.text_parts import (
    Measuring,
    TextPart,
    foreign,
    timed,
    worst_first,
    worst_item,
)
from mgte.evaluate.tasks.text_task import MeasuredPart, TextTask, by_item
from mgte.evaluate.text_data import ScoredPair, TextDataConfig, drawn, scored_pairs

MAIN_METRIC = "cosine_spearman"


@dataclass(frozen=True, kw_only=True, slots=True)
class StsConfig:
    """Semantic textual similarity.

    Attributes:
        kind: "sts".
        name: Name of the task.
        data: Where the pairs lie.
        first: Field of one text.
        second: Field of the other.
        score: Field of the score.
        score_range: Lowest and highest score that there may be.
    """

    kind: Literal["sts"] = "sts"
    name: str
    data: TextDataConfig
    first: str = "sentence1"
    second: str = "sentence2"
    score: str = "score"
    score_range: tuple[float, float] = (0.0, 5.0)

    def __post_init__(self) -> None:
        low, high = self.score_range
        if low >= high:
            raise ConfigError(f"score_range: got {low:g} to {high:g}, expected a rising range")


class StsTask(TextTask[StsConfig]):
    """Rank correlation of similarities with scores. Source: mteb, `AbsTaskSTS`.

    Both texts are embedded with the role "text". The metrics are Spearman's and Pearson's
    correlation with the cosine, and with negative Manhattan and Euclidean distances; "spearman"
    and "pearson" are those of the similarity that the model was made for.

    Values per pair are the pair's pull on the correlation of ranks (its influence function), whose
    mean is exactly Spearman's correlation: intervals and paired tests work on them.
    """

    def _pairs(self, part: TextPart, seed: int) -> tuple[ScoredPair, ...]:
        pairs = scored_pairs(
            part.rows(),
            first=part.field(self.config.first),
            second=part.field(self.config.second),
            score=part.field(self.config.score),
            score_range=self.config.score_range,
        )
        return drawn(pairs, self.config.data.max_items, seed)

    def measure(self, part: TextPart, measuring: Measuring, seed: int) -> MeasuredPart:
        """See `TextTask.measure`."""
        pairs = self._pairs(part, seed)
        vectors = measuring.vectors([p.first for p in pairs] + [p.second for p in pairs])
        with timed(measuring.seconds, "score"):
            similarities = paired_similarities(vectors[: len(pairs)], vectors[len(pairs) :])
            scores = np.array([pair.score for pair in pairs])
            metrics = {}
            for name, values in similarities.items():
                metrics[f"{name}_spearman"], metrics[f"{name}_pearson"] = correlations(
                    scores, values
                )
            own = "cosine" if measuring.encoder.is_cosine else "dot"
            metrics["spearman"] = metrics[f"{own}_spearman"]
            metrics["pearson"] = metrics[f"{own}_pearson"]
            pulls = rank_pulls(scores, similarities["cosine"])
        return MeasuredPart(
            main_metric=MAIN_METRIC,
            metrics=metrics,
            items=(pairs,),
            values=by_item(pairs, pulls),
            limits=(-1.0, 1.0),
            worst=_worst(pairs, similarities["cosine"]),
            facts={"is_constant": bool(np.ptp(similarities["cosine"]) == 0.0)},
        )


def correlations(
    scores: NDArray[np.float64], similarities: NDArray[np.float64]
) -> tuple[float, float]:
    """Spearman's and Pearson's correlation; 0 where all similarities are equal.

    Args:
        scores: `[num_pairs]`.
        similarities: `[num_pairs]`.

    Returns:
        Both.

    Raises:
        BackendUnavailableError: SciPy is not installed.
    """
    stats = foreign("scipy.stats")
    if np.ptp(similarities) == 0.0 or np.ptp(scores) == 0.0:
        return 0.0, 0.0
    return (
        float(stats.spearmanr(scores, similarities)[0]),
        float(stats.pearsonr(scores, similarities)[0]),
    )


def rank_pulls(
    scores: NDArray[np.float64], similarities: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Each pair's pull on Spearman's correlation.

    r + x y - r (x² + y²) / 2 with standardised ranks x and y: r plus the influence function of a
    correlation. Source: Devlin, Gnanadesikan and Kettenring, Biometrika 62 (1975).

    Args:
        scores: `[num_pairs]`.
        similarities: `[num_pairs]`.

    Returns:
        `[num_pairs]`; the mean is Spearman's correlation.
    """
    rank = foreign("scipy.stats").rankdata
    x, y = _standardised(rank(scores)), _standardised(rank(similarities))
    correlation = float((x * y).mean())
    pulls: NDArray[np.float64] = correlation + x * y - correlation * (x * x + y * y) / 2.0
    return pulls


def _standardised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = float(values.std())
    centred: NDArray[np.float64] = values - values.mean()
    return centred / spread if spread else centred


def _worst(
    pairs: tuple[ScoredPair, ...], similarities: NDArray[np.float64]
) -> tuple[WorstItem, ...]:
    """Pairs whose places in both orders are farthest apart."""
    rank = foreign("scipy.stats").rankdata
    scores = np.array([pair.score for pair in pairs])
    shift = (rank(similarities) - rank(scores)) / len(pairs)
    return tuple(
        worst_item(
            pairs[row].item_id,
            -abs(float(shift[row])),
            f"{pairs[row].first} | {pairs[row].second}",
            f"score {pairs[row].score:g}",
            f"cosine {similarities[row]:.3f}, {abs(shift[row]):.0%} of all pairs too "
            f"{'high' if shift[row] > 0 else 'low'}",
        )
        for row in worst_first(-np.abs(shift))
    )
