"""Metrics of classes and numbers: accuracy, F1, Matthews, Pearson, Spearman. Loads no torch."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = Sequence[float] | NDArray[np.floating[Any]]


def accuracy(expected: Sequence[int], found: Sequence[int]) -> float:
    """Share of items whose class is right."""
    return float(np.mean(np.asarray(expected) == np.asarray(found)))


def binary_f1(expected: Sequence[int], found: Sequence[int], *, positive: int = 1) -> float:
    """F1 of one class; 0 where it neither stands nor is found.

    Args:
        expected: Right classes.
        found: Predicted classes.
        positive: The class.

    Returns:
        2 TP / (2 TP + FP + FN).
    """
    right, given = np.asarray(expected) == positive, np.asarray(found) == positive
    total = int(right.sum() + given.sum())
    return 2.0 * float((right & given).sum()) / total if total else 0.0


def matthews(expected: Sequence[int], found: Sequence[int]) -> float:
    """Matthews correlation, of any number of classes; 0 where a side knows one class only.

    Source: Gorodkin, Comparing two K-category assignments, 2004.
    """
    num_classes = int(max(*expected, *found)) + 1
    table = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(table, (np.asarray(expected), np.asarray(found)), 1)
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    total = int(table.sum())
    covariance = int(np.trace(table)) * total - int(rows @ columns)
    spread = (total**2 - int(rows @ rows)) * (total**2 - int(columns @ columns))
    return covariance / math.sqrt(spread) if spread else 0.0


def pearson(expected: Numbers, found: Numbers) -> float:
    """Pearson correlation; 0 where one side is constant."""
    a, b = (np.asarray(values, dtype=np.float64) for values in (expected, found))
    a, b = a - a.mean(), b - b.mean()
    spread = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / spread if spread else 0.0


def spearman(expected: Numbers, found: Numbers) -> float:
    """Spearman correlation: Pearson's of the ranks; ties share their mean rank."""
    return pearson(_ranks(expected), _ranks(found))


def _ranks(values: Numbers) -> NDArray[np.float64]:
    numbers = np.asarray(values, dtype=np.float64)
    _, inverse, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    means: NDArray[np.float64] = last - (counts - 1) / 2.0
    return means[inverse]


def average_precision(relevant: NDArray[np.bool_], num_relevant: int, *, depth: int) -> float:
    """Average precision of one ranking, cut at a depth, as trec_eval's `map_cut`.

    Args:
        relevant: Whether each ranked document is relevant, best first, `[num_ranked]`.
        num_relevant: Relevant documents that there are.
        depth: Documents that count.

    Returns:
        Mean over all relevant documents of the precision where each is found; 0 if it is not.
    """
    hits = np.flatnonzero(relevant[:depth])
    precisions = np.arange(1, len(hits) + 1) / (hits + 1)
    return float(precisions.sum()) / num_relevant if num_relevant else 0.0
