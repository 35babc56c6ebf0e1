"""Scores between embeddings: all against all, and pair by pair."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mgte.errors import ConfigError, DataError
from mgte.vectors import Embeddings

DenseLike = Embeddings | NDArray[np.float32]


def similarity_matrix(a: DenseLike, b: DenseLike, *, kind: str) -> NDArray[np.float32]:
    """Similarity of every vector of `a` to every vector of `b`.

    Args:
        a: Embeddings, or float32 `[num_a, dim]`.
        b: Embeddings, or float32 `[num_b, dim]`.
        kind: "cosine" or "dot".

    Returns:
        float32 `[num_a, num_b]`.

    Raises:
        DataError: The widths differ, or there are no dense vectors.
        ConfigError: The kind is not supported.
    """
    left, right = _dense_of(a, "a"), _dense_of(b, "b")
    if left.shape[1] != right.shape[1]:
        raise DataError(
            f"similarity: widths {left.shape[1]} and {right.shape[1]} differ, expected equal"
        )
    if kind == "cosine":
        left, right = _unit(left), _unit(right)
    elif kind != "dot":
        raise ConfigError(f"similarity: got {kind!r}, expected 'cosine' or 'dot'")
    product: NDArray[np.float32] = left @ right.T
    return product


def weighted_sum(
    queries: Embeddings, documents: Embeddings, *, dense_weight: float, sparse_weight: float
) -> NDArray[np.float32]:
    """Hybrid score of query i with document i; a part that is missing counts 0."""
    scores = np.zeros(len(queries), dtype=np.float32)
    if queries.dense is not None and documents.dense is not None:
        scores += dense_weight * np.einsum("nd,nd->n", queries.dense, documents.dense)
    if queries.sparse is not None and documents.sparse is not None:
        scores += sparse_weight * queries.sparse.dot_rows(documents.sparse)
    return scores


def take_rows(embeddings: Embeddings, rows: Sequence[int]) -> Embeddings:
    """The named rows of dense and sparse parts, in that order."""
    dense, sparse = embeddings.dense, embeddings.sparse
    order = list(rows)
    return Embeddings(
        dense=None if dense is None else dense[order],
        sparse=None if sparse is None else sparse.take(order),
        num_tokens=embeddings.num_tokens[order],
        is_truncated=embeddings.is_truncated[order],
        count_dropped=lambda index: embeddings.count_dropped(order[index]),
    )


def _dense_of(vectors: DenseLike, place: str) -> NDArray[np.float32]:
    dense = vectors.dense if isinstance(vectors, Embeddings) else np.asarray(vectors, np.float32)
    if dense is None:
        raise DataError(f"similarity: {place} holds no dense vectors")
    if dense.ndim != 2:
        raise DataError(f"similarity: {place} has shape {dense.shape}, expected [texts, dim]")
    return dense


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = vectors / np.maximum(lengths, 1e-12)
    return unit
