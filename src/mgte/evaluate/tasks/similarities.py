"""Similarities of paired vectors, and what they say of pairs with labels."""

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


def average_precision_pulls(
    similarities: NDArray[np.float64], is_positive: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Each pair's pull on the average precision.

    Average precision is the mean, over positive pairs, of the share of positive ones among all
    that are at least as alike. A pair's pull is that mean plus its influence function: how the
    mean changes with the pair's weight, times the number of pairs. Source: Efron and Tibshirani,
    An Introduction to the Bootstrap.

    Args:
        similarities: `[num_pairs]`, more is more alike.
        is_positive: `[num_pairs]`.

    Returns:
        float64 `[num_pairs]`; their mean is the average precision. One value may lie outside 0..1.
    """
    rising, rising_positive = np.sort(similarities), np.sort(similarities[is_positive])
    count, num_positive = len(rising), len(rising_positive)
    # Of each positive pair, from the least alike: pairs, and positive ones, at least as alike.
    taken = count - np.searchsorted(rising, rising_positive, side="left")
    hits = num_positive - np.searchsorted(rising_positive, rising_positive, side="left")
    precision = hits / taken
    mean = float(precision.mean())
    gain = np.concatenate([[0.0], np.cumsum(1.0 / taken)])
    loss = np.concatenate([[0.0], np.cumsum(hits / taken**2)])
    # A pair stands above all positive pairs that are at most as alike.
    below = np.searchsorted(rising_positive, similarities, side="right")
    own = precision[np.minimum(below, num_positive) - 1]
    change = np.where(is_positive, own + gain[below] - mean, 0.0) - loss[below]
    pulls: NDArray[np.float64] = mean + change * (count / num_positive)
    return pulls
