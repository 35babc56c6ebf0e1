"""Our engines for the benchmark: the public API, token ids in."""

import numpy as np
from checkpoints import Checkpoint
from peers import Engine, Sequences, Vectors

import mgte

DTYPES = {"fp32": "float32", "bf16": "bfloat16", "int8": "int8"}


class _Embedding:
    """`Embedder.encode_ids` with first-token pooling."""

    def __init__(self, checkpoint: Checkpoint, precision: str, backend: str) -> None:
        self.name = f"mgte {backend} {precision}"
        self._embedder = mgte.Embedder.load(
            str(checkpoint.encoder), device="cpu", dtype=DTYPES[precision], backend=backend
        )

    def encode(self, sequences: Sequences) -> Vectors:
        """State of the first token of every sequence."""
        out = self._embedder.encode_ids(sequences, normalize=False, show_progress=False)
        return np.asarray(out.dense, dtype=np.float32)


class _Reranking:
    """`Reranker.predict_ids`: scores instead of vectors."""

    def __init__(self, checkpoint: Checkpoint, precision: str, backend: str) -> None:
        self.name = f"mgte {backend} {precision}"
        self._reranker = mgte.Reranker.load(
            str(checkpoint.reranker), device="cpu", dtype=DTYPES[precision], backend=backend
        )

    def encode(self, sequences: Sequences) -> Vectors:
        """One score per pair."""
        return np.asarray(self._reranker.predict_ids(sequences), dtype=np.float32)


def build_ours(
    checkpoint: Checkpoint, precision: str, backends: tuple[str, ...], workload: str
) -> list[Engine]:
    """Our engine once per backend; the reranker's API for pairs."""
    kind = _Reranking if workload == "W5" else _Embedding
    return [kind(checkpoint, precision, backend) for backend in backends]
