"""Which documents of a group take part in a batch: one positive and some hard negatives."""

from dataclasses import dataclass

import numpy as np

from mgte.data.hashing import text_hash
from mgte.data.seeds import integers, words
from mgte.text import TrainingGroup

# What the draws of a row's key are for.
_POSITIVE, _NEGATIVES = 0, 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidates:
    """A query with the documents that were chosen for it.

    Attributes:
        query: The query.
        documents: The positive first, then hard negatives.
        scores: A teacher's score of each document; NaN where there is none.
    """

    query: str
    documents: tuple[str, ...]
    scores: tuple[float, ...]


def choose_candidates(group: TrainingGroup, key: int, num_negatives: int) -> Candidates:
    """Choose a group's documents.

    Args:
        group: The group.
        key: Seed of the row in its batch.
        num_negatives: Hard negatives, if there are so many; where there are more, a draw decides,
            and they keep their order.

    Returns:
        The chosen documents.
    """
    positive = choose_positive(group, key)
    negatives = np.arange(len(group.negatives))
    if len(negatives) > num_negatives:
        draws = words(words(key, _NEGATIVES), negatives)
        negatives = np.sort(np.argsort(draws, kind="stable")[:num_negatives])
    chosen = negatives.tolist()
    positive_scores = group.positive_scores or (float("nan"),) * len(group.positives)
    negative_scores = group.negative_scores or (float("nan"),) * len(group.negatives)
    return Candidates(
        query=group.query,
        documents=(group.positives[positive], *(group.negatives[index] for index in chosen)),
        scores=(positive_scores[positive], *(negative_scores[index] for index in chosen)),
    )


def choose_positive(group: TrainingGroup, key: int) -> int:
    """Which of a group's positives takes part.

    Args:
        group: The group.
        key: Seed of the row in its batch.

    Returns:
        Its number.
    """
    if len(group.positives) == 1:
        return 0
    return int(integers(key, _POSITIVE, len(group.positives)))


def turn_around(group: TrainingGroup) -> TrainingGroup:
    """A pair with its sides swapped; a group that is no bare pair stays as it is."""
    if len(group.positives) != 1 or group.negatives:
        return group
    return TrainingGroup(
        query=group.positives[0],
        positives=(group.query,),
        source=group.source,
        language=group.language,
        positive_scores=group.positive_scores,
    )


def positive_hashes(group: TrainingGroup) -> set[int]:
    """Hashes of all positives of a group."""
    return {text_hash(text) for text in group.positives}
