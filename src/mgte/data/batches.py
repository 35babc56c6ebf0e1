"""What an objective consumes: one process's share of one batch, as plain arrays.

Rows are kept as token id arrays, not yet packed: how many travel at once is a matter of memory and
belongs to the objective. No torch here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]
# Token ids of one text, special tokens included.
TokenArray = NDArray[np.int32]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MaskedBatch:
    """Masked texts.

    Attributes:
        sequences: Token ids after masking.
        positions: For each sequence the masked positions, ascending.
        labels: The tokens that stood there.
        rows: Row of each sequence in the dataset, for error messages.
        source: Where the rows come from; "mixed" where batches mix sources.
    """

    sequences: tuple[TokenArray, ...]
    positions: tuple[IntArray, ...]
    labels: tuple[IntArray, ...]
    rows: IntArray
    source: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ContrastiveBatch:
    """Queries with their documents; every document is a candidate of every query.

    The processes' shares, laid end to end by rank, are the batch: the number of processes does not
    change it.

    Attributes:
        queries: Token ids per query.
        documents: Token ids of all documents, query by query: its positive first, then its hard
            negatives.
        cu_documents: Where each query's documents start, and the total.
        query_hashes: Hash of each query's text; equal texts have equal hashes.
        document_hashes: Hash of each document's text.
        teacher_scores: Teacher's score of each document for its own query; NaN where there is none.
        rows: Row of each query in the dataset.
        source: Where the rows come from.
    """

    queries: tuple[TokenArray, ...]
    documents: tuple[TokenArray, ...]
    cu_documents: IntArray
    query_hashes: IntArray
    document_hashes: IntArray
    teacher_scores: FloatArray
    rows: IntArray
    source: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RerankBatch:
    """Queries with their candidates, as joined pairs.

    Attributes:
        pairs: Token ids of (query, candidate), query by query, special tokens included.
        token_types: Token types of each pair.
        cu_candidates: Where each query's candidates start, and the total.
        labels: 1 for a positive, 0 for a negative, per pair.
        teacher_scores: Teacher's score per pair; NaN where there is none.
        rows: Row of each query in the dataset.
        source: Where the rows come from.
    """

    pairs: tuple[TokenArray, ...]
    token_types: tuple[TokenArray, ...]
    cu_candidates: IntArray
    labels: FloatArray
    teacher_scores: FloatArray
    rows: IntArray
    source: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class VectorBatch:
    """Texts with the vectors that a teacher gives them (or a translation of them).

    Attributes:
        sequences: Token ids per text.
        vectors: Teacher's vectors, one row per text.
        rows: Row of each text in the dataset.
        source: Where the rows come from.
    """

    sequences: tuple[TokenArray, ...]
    vectors: FloatArray
    rows: IntArray
    source: str


Batch = MaskedBatch | ContrastiveBatch | RerankBatch | VectorBatch


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StepBatches:
    """One process's share of one optimizer step.

    Attributes:
        step: Which step, counted from 0.
        batches: The step's batches in order; the same number on every process.
        num_tokens: Tokens of this share that pass through the model.
        num_tokens_dropped: Tokens of this share that were cut off.
    """

    step: int
    batches: tuple[Batch, ...]
    num_tokens: int
    num_tokens_dropped: int
