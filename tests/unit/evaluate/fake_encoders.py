"""Encoders for tests: vectors that follow from the texts alone."""

from hashlib import sha256

import numpy as np

from mgte.vectors import Embeddings, SparseVectors


class HashEncoder:
    """Vectors from hashes of words; counts how many texts it was asked for."""

    revision = "r1"
    max_length = 4
    is_cosine = True
    device = "cpu"

    def __init__(self, *, width=8, has_sparse=True, has_dense=True, salt="", name="hash") -> None:
        self.name = name
        self.has_sparse = has_sparse
        self.has_dense = has_dense
        self.width = width
        self.widths = (width,) if has_dense else ()
        self.fingerprint = sha256(f"{width}{salt}".encode()).hexdigest()
        self.salt = salt
        self.num_asked = 0

    def encode(self, texts, *, role, sparse=False) -> Embeddings:
        self.num_asked += len(texts)
        words = [text.split()[: self.max_length] for text in texts]
        dense = np.stack([self.vector(w, role) for w in words]).astype(np.float32)
        rows = [sorted({len(word) for word in w}) for w in words]
        indptr = np.cumsum([0, *(len(row) for row in rows)], dtype=np.int64)
        weights = SparseVectors(
            indptr=indptr,
            indices=np.array([i for row in rows for i in row], dtype=np.int32),
            values=np.full(int(indptr[-1]), 0.5, dtype=np.float32),
            vocab_size=100,
        )
        lengths = np.array([len(text.split()) for text in texts], dtype=np.int64)
        return Embeddings(
            dense=dense if self.has_dense else None,
            sparse=weights if sparse or not self.has_dense else None,
            num_tokens=np.minimum(lengths, self.max_length),
            is_truncated=lengths > self.max_length,
            count_dropped=lambda index: int(lengths[index] - self.max_length),
        )

    def vector(self, words, role) -> np.ndarray:
        total = np.full(self.width, 1e-3)
        for word in words:
            seed = int.from_bytes(sha256(f"{self.salt}{word}".encode()).digest()[:4], "little")
            total += np.random.default_rng(seed).normal(size=len(total))
        return total / np.linalg.norm(total)


class NanEncoder(HashEncoder):
    """Gives NaN for texts that hold the word "nan"."""

    def encode(self, texts, *, role, sparse=False) -> Embeddings:
        from mgte.evaluate.subjects import check_finite

        found = super().encode(texts, role=role, sparse=sparse)
        assert found.dense is not None
        for row, text in enumerate(texts):
            if "nan" in text.split():
                found.dense[row] = np.nan
        return check_finite(found, texts, self.name)


class WordScorer:
    """Scores pairs by the words that they share."""

    name = "words"
    revision = ""
    max_length = None

    def score(self, pairs) -> np.ndarray:
        scores = [len(set(q.split()) & set(d.split())) for q, d in pairs]
        return np.array(scores, dtype=np.float32)
