"""Search time among many vectors: exact, by width."""

import statistics
import time
from dataclasses import dataclass

import numpy as np

from mgte.search import DocumentVectors, FloatArray

_SINGLE_QUERIES = 20
_BYTES_PER_NUMBER = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchTime:
    """How long exact search took.

    Attributes:
        width: Width of the vectors.
        ms_per_query: Milliseconds per query when many are asked at once.
        ms_single: Milliseconds of one query alone.
        bytes_per_document: Bytes of one document's vector.
    """

    width: int
    ms_per_query: float
    ms_single: float
    bytes_per_document: int


def unit_vectors(count: int, width: int, seed: int) -> FloatArray:
    """Random vectors of unit length, float32 `[count, width]`."""
    vectors = np.random.default_rng(seed).standard_normal((count, width), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def time_search(
    queries: FloatArray, documents: FloatArray, *, top_k: int, rounds: int, device: str
) -> SearchTime:
    """Time exact search; what is found does not matter for its time, so vectors may be random.

    Args:
        queries: float32 `[num_queries, width]`.
        documents: float32 `[num_documents, width]`.
        top_k: Documents per query.
        rounds: Rounds; medians count.
        device: Where products are computed.

    Returns:
        The times; moving documents to the device is no part of them.
    """
    placed = DocumentVectors(documents, device=device)
    placed.nearest(queries, top_k)
    together, single = [], []
    for _ in range(rounds):
        began = time.perf_counter()
        placed.nearest(queries, top_k)
        together.append((time.perf_counter() - began) / len(queries))
    for row in range(min(_SINGLE_QUERIES, len(queries))):
        began = time.perf_counter()
        placed.nearest(queries[row : row + 1], top_k)
        single.append(time.perf_counter() - began)
    return SearchTime(
        width=documents.shape[1],
        ms_per_query=1e3 * statistics.median(together),
        ms_single=1e3 * statistics.median(single),
        bytes_per_document=_BYTES_PER_NUMBER * documents.shape[1],
    )
