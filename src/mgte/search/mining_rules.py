"""Which of a query's nearest documents become negatives: the rules, on one query at a time."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mgte.errors import ConfigError
from mgte.search.ranking import FloatArray, IntArray, Ranking


@dataclass(frozen=True, kw_only=True, slots=True)
class MiningConfig:
    """How negatives are chosen.

    Attributes:
        window: First and last rank that is taken, counted from 1 over the documents that are no
            positives.
        num_negatives: Negatives per query.
        min_negatives: Queries with fewer are left out.
        relative_margin: Documents that score above this share of the positive's score count as
            false negatives and are left out; None keeps them. Source: NV-Retriever, arXiv
            2407.15831, "TopK-PercPos", 0.95.
        reference: Which score counts where a query has several positives. "lowest" is strict: one
            positive that the model does not find leaves no negatives.
        teacher_margin: With a teacher, documents that it scores above the positive minus this are
            left out; in the unit of its scores, which are logits for a reranker.
        teacher_pool: Documents per wanted negative that the teacher scores.
        choice: "random" draws from the window, "hardest" takes the best ranks of it.
        seed: Decides what is drawn.
    """

    window: tuple[int, int] = (10, 100)
    num_negatives: int = 8
    min_negatives: int = 1
    relative_margin: float | None = 0.95
    reference: Literal["lowest", "mean", "highest"] = "mean"
    teacher_margin: float = 0.0
    teacher_pool: int = 3
    choice: Literal["random", "hardest"] = "random"
    seed: int = 0

    def __post_init__(self) -> None:
        first, last = self.window
        if not 1 <= first <= last:
            raise ConfigError(f"window: got {first} to {last}, expected 1 <= first <= last")
        for name in ("num_negatives", "min_negatives", "teacher_pool"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: got {getattr(self, name)}, expected at least 1")
        if self.seed < 0:
            raise ConfigError(f"seed: got {self.seed}, expected at least 0")
        if self.min_negatives > self.num_negatives:
            raise ConfigError(
                f"min_negatives: got {self.min_negatives}, expected at most num_negatives "
                f"({self.num_negatives})"
            )
        if self.reference not in ("lowest", "mean", "highest"):
            raise ConfigError(
                f"reference: got {self.reference!r}, expected 'lowest', 'mean' or 'highest'"
            )
        if self.choice not in ("random", "hardest"):
            raise ConfigError(f"choice: got {self.choice!r}, expected 'random' or 'hardest'")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sifted:
    """What became of a query's nearest documents; positions count in their ranking.

    Attributes:
        kept: In the order in which they are wanted.
        duplicates: Equal to a positive or to the query.
        too_close: Above the margin.
        num_outside: Before the window, and neither of the above.
    """

    kept: IntArray
    duplicates: IntArray
    too_close: IntArray
    num_outside: int


def sift(
    ranking: Ranking,
    forbidden: NDArray[np.bool_],
    positive_score: float,
    config: MiningConfig,
    random: np.random.Generator,
) -> Sifted:
    """Apply the rules that need no teacher.

    Args:
        ranking: The query's nearest documents.
        forbidden: bool `[len(ranking)]`, documents that must never be a negative.
        positive_score: What `reference_score` says of the query's positives.
        config: The rules.
        random: Draws from the window.

    Returns:
        What is kept, and what each rule left out up to the end of the window.
    """
    first, last = config.window
    allowed = np.flatnonzero(~forbidden)[:last]
    end = int(allowed[-1]) + 1 if len(allowed) else len(ranking)
    is_close = ranking.scores[allowed] > false_negative_bound(
        positive_score, config.relative_margin
    )
    in_window = np.arange(len(allowed)) >= first - 1
    kept = allowed[in_window & ~is_close]
    if config.choice == "random":
        kept = random.permutation(kept)
    return Sifted(
        kept=kept,
        duplicates=np.flatnonzero(forbidden[:end]),
        too_close=allowed[is_close],
        num_outside=int((~in_window & ~is_close).sum()),
    )


def reference_score(scores: FloatArray, config: MiningConfig) -> float:
    """The score of a query's positives that its candidates are compared with.

    Args:
        scores: float32 `[num_positives]`.
        config: Says which.

    Returns:
        Their lowest, mean or highest.
    """
    if config.reference == "mean":
        return float(scores.mean())
    return float(scores.min() if config.reference == "lowest" else scores.max())


def false_negative_bound(positive_score: float, relative_margin: float | None) -> float:
    """The score above which a document counts as a false negative.

    Args:
        positive_score: Score of the positive; may be negative.
        relative_margin: Share of it; None means no bound.

    Returns:
        positive - |positive| * (1 - margin), which is margin * positive for positive scores.
    """
    if relative_margin is None:
        return float("inf")
    return positive_score - abs(positive_score) * (1.0 - relative_margin)


def by_falling_score(positions: IntArray, scores: FloatArray) -> IntArray:
    """Positions by falling score; equal scores keep their order."""
    return positions[np.argsort(-scores, kind="stable")]
