"""Similarities of paired vectors, and what they say of pairs with labels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgte.evaluate.tasks.text_parts import FloatArray, foreign

SIMILARITIES = ("cosine", "dot", "manhattan", "euclidean")


def paired_similarities(first: FloatArray, second: FloatArray) -> dict[str, NDArray[np.float64]]:
    """How alike row i of one matrix and row i of the other are.

    Args:
        first: float `[num_pairs, width]`.
        second: float `[num_pairs, width]`.

    Returns:
        "cosine" and "dot", and "manhattan" and "euclidean" as negative distances, so that more is
        more alike: float64 `[num_pairs]` each.

    Raises:
        BackendUnavailableError: scikit-learn is not installed.
    """
    pairwise = foreign("sklearn.metrics.pairwise")
    found = {
        "cosine": 1.0 - pairwise.paired_cosine_distances(first, second),
        "dot": np.einsum("ij,ij->i", first, second),
        "manhattan": -pairwise.paired_manhattan_distances(first, second),
        "euclidean": -pairwise.paired_euclidean_distances(first, second),
    }
    return {name: np.asarray(values, dtype=np.float64) for name, values in found.items()}


def threshold_metrics(
    similarities: NDArray[np.float64], is_positive: NDArray[np.bool_]
) -> dict[str, float]:
    """How well a threshold on the similarity tells positive pairs from negative ones.

    Thresholds lie between two different similarities; the best one is chosen on the same pairs,
    as mteb does, so accuracy and F1 are upper bounds.

    Args:
        similarities: `[num_pairs]`, more is more alike.
        is_positive: `[num_pairs]`.

    Returns:
        "ap" (average precision), and "accuracy", "f1", "precision", "recall" at their best
        threshold (the last two at that of "f1").

    Raises:
        BackendUnavailableError: scikit-learn is not installed.
    """
    metrics = foreign("sklearn.metrics")
    order = np.argsort(-similarities, kind="stable")
    falling, right = similarities[order], is_positive[order]
    hits = np.cumsum(right)[:-1]
    # A threshold cannot part equal similarities.
    ends = falling[:-1] != falling[1:]
    count, num_positive = len(right), int(right.sum())
    taken = np.arange(1, count)
    accuracy = (hits + (count - num_positive) - (taken - hits)) / count
    precision, recall = hits / taken, hits / num_positive
    f1 = np.divide(
        2.0 * precision * recall,
        precision + recall,
        out=np.zeros(count - 1),
        where=precision + recall > 0,
    )
    best = int(np.argmax(np.where(ends, f1, -1.0))) if ends.any() else None
    return {
        "ap": float(metrics.average_precision_score(is_positive, similarities)),
        "accuracy": float(accuracy[ends].max()) if ends.any() else 0.0,
        "f1": 0.0 if best is None else float(f1[best]),
        "precision": 0.0 if best is None else float(precision[best]),
        "recall": 0.0 if best is None else float(recall[best]),
    }


def precision_at_positives(
    similarities: NDArray[np.float64], is_positive: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Share of positive pairs among all that are at least as alike, for every positive pair.

    Args:
        similarities: `[num_pairs]`.
        is_positive: `[num_pairs]`.

    Returns:
        float64 `[num_positive]`; their mean is the average precision.
    """
    rising: NDArray[Any] = np.sort(similarities)
    rising_positive = np.sort(similarities[is_positive])
    wanted = similarities[is_positive]
    at_least = len(rising) - np.searchsorted(rising, wanted, side="left")
    positive = len(rising_positive) - np.searchsorted(rising_positive, wanted, side="left")
    shares: NDArray[np.float64] = positive / at_least
    return shares
