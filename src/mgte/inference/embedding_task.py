"""From encoder states to the rows of an Embeddings record: cut, normalise, to NumPy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from mgte.inference.engine import Task
from mgte.model import EmbeddingModel, SparseWeights
from mgte.packing import PackedBatch
from mgte.vectors import SparseVectors

SparseRow = tuple[NDArray[np.int32], NDArray[np.float32]]
Row = tuple[NDArray[np.float32] | None, SparseRow | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What is to be computed for every text.

    Attributes:
        dense: Whether dense vectors are wanted.
        sparse: Whether sparse weights are wanted.
        dim: Leading dimensions to keep.
        normalize: Whether dense vectors get unit length after the cut.
    """

    dense: bool
    sparse: bool
    dim: int
    normalize: bool


def embedding_task(model: EmbeddingModel, wanted: Wanted) -> Task[Row]:
    """The engine's task for an embedding model: both outputs come from one pass."""

    def reduce(states: Tensor, batch: PackedBatch) -> list[Row]:
        output = model.reduce(states, batch, dense=wanted.dense, sparse=wanted.sparse)
        dense: Sequence[NDArray[np.float32] | None] = [None] * len(batch)
        if output.dense is not None:
            # Elastic embedding: the leading dimensions, normalised after the cut (mGTE, 2.3).
            vectors = output.dense[:, : wanted.dim].float()
            vectors = normalize(vectors, dim=-1) if wanted.normalize else vectors
            dense = list(vectors.cpu().numpy())
        sparse = [None] * len(batch) if output.sparse is None else _sparse_rows(output.sparse)
        return list(zip(dense, sparse, strict=True))

    pooling = model.pooling if not wanted.sparse and model.pooling in ("cls", "last") else None
    return Task(pooling=pooling, reduce=reduce)


def stack_dense(rows: Sequence[Row], dim: int) -> NDArray[np.float32]:
    """Dense parts of all rows: float32 `[num_texts, dim]`."""
    stacked = np.empty((len(rows), dim), dtype=np.float32)
    for index, (dense, _) in enumerate(rows):
        stacked[index] = dense
    return stacked


def stack_sparse(rows: Sequence[Row], vocab_size: int) -> SparseVectors:
    """Sparse parts of all rows as compressed sparse rows."""
    parts = [sparse for _, sparse in rows if sparse is not None]
    lengths = np.array([0, *(len(ids) for ids, _ in parts)], dtype=np.int64)
    return SparseVectors(
        indptr=np.cumsum(lengths),
        indices=np.concatenate([np.zeros(0, np.int32), *(ids for ids, _ in parts)]),
        values=np.concatenate([np.zeros(0, np.float32), *(values for _, values in parts)]),
        vocab_size=vocab_size,
    )


def _sparse_rows(weights: SparseWeights) -> list[SparseRow]:
    bounds = weights.cu_terms.cpu().numpy()[1:-1]
    ids = weights.token_ids.cpu().numpy().astype(np.int32)
    values = weights.weights.float().cpu().numpy()
    return list(zip(np.split(ids, bounds), np.split(values, bounds), strict=True))
