"""NumPy records that leave a model and enter a file, an index or a reply."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mgte.errors import DataError

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class TokenDecoder(Protocol):
    """What turns a token id into the string that a reader sees."""

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of the given token ids."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SparseVectors:
    """Non-negative weights per token id for several texts, as compressed sparse rows.

    Attributes:
        indptr: int64 `[num_texts + 1]`, starts with 0; row i is `indptr[i]:indptr[i + 1]`.
        indices: int32 `[num_terms]`, token ids, ascending inside a row, each at most once.
        values: float32 `[num_terms]`, weights, all above 0.
        vocab_size: Number of columns.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    values: NDArray[np.float32]
    vocab_size: int

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def row(self, index: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Token ids and weights of one text."""
        start, end = int(self.indptr[index]), int(self.indptr[index + 1])
        return self.indices[start:end], self.values[start:end]

    def to_scipy(self) -> "csr_array":
        """The same numbers as a SciPy CSR array `[num_texts, vocab_size]`."""
        from scipy.sparse import csr_array

        return csr_array(
            (self.values, self.indices, self.indptr), shape=(len(self), self.vocab_size)
        )

    def to_dicts(self) -> list[dict[int, float]]:
        """One `{token id: weight}` per text."""
        rows = (self.row(index) for index in range(len(self)))
        return [dict(zip(ids.tolist(), weights.tolist(), strict=True)) for ids, weights in rows]

    def to_strings(self, tokenizer: TokenDecoder) -> list[dict[str, float]]:
        """One `{token string: weight}` per text, heaviest first.

        Ids whose decoded text is equal (with and without a leading space) become one entry that
        keeps the larger weight. Source: GTE `gte_embedding.py`, token weights.
        """
        names: dict[int, str] = {}
        texts: list[dict[str, float]] = []
        for weights in self.to_dicts():
            named: dict[str, float] = {}
            for token_id, weight in sorted(weights.items(), key=lambda item: -item[1]):
                if token_id not in names:
                    names[token_id] = tokenizer.decode([token_id])
                named.setdefault(names[token_id], weight)
            texts.append(named)
        return texts

    def dot(self, other: "SparseVectors") -> NDArray[np.float32]:
        """Scores of all pairs: the sum over shared token ids of the products of their weights.

        Returns:
            float32 `[len(self), len(other)]`. Source: mGTE, arXiv 2407.19669, section 2.3.
        """
        if self.vocab_size != other.vocab_size:
            raise DataError(
                f"sparse vectors: vocabularies of {self.vocab_size} and {other.vocab_size} tokens "
                "cannot be compared"
            )
        scores = np.zeros((len(self), len(other)), dtype=np.float32)
        dense_row = np.zeros(self.vocab_size, dtype=np.float32)
        owner = np.repeat(np.arange(len(other)), np.diff(other.indptr))
        for index in range(len(self)):
            ids, weights = self.row(index)
            dense_row[ids] = weights
            products = dense_row[other.indices] * other.values
            scores[index] = np.bincount(owner, weights=products, minlength=len(other))
            dense_row[ids] = 0.0
        return scores

    def dot_rows(self, other: "SparseVectors") -> NDArray[np.float32]:
        """Scores of row i with row i: float32 `[len(self)]`."""
        if len(self) != len(other):
            raise DataError(f"sparse vectors: {len(self)} and {len(other)} rows, expected as many")
        scores = np.zeros(len(self), dtype=np.float32)
        for index in range(len(self)):
            left_ids, left = self.row(index)
            right_ids, right = other.row(index)
            _, i, j = np.intersect1d(left_ids, right_ids, assume_unique=True, return_indices=True)
            scores[index] = left[i] @ right[j]
        return scores

    @staticmethod
    def concatenate(parts: Sequence["SparseVectors"], vocab_size: int) -> "SparseVectors":
        """All rows of all parts, in order."""
        lengths = [np.diff(part.indptr) for part in parts]
        all_lengths = np.concatenate([np.zeros(1, np.int64), *lengths])
        return SparseVectors(
            indptr=np.cumsum(all_lengths, dtype=np.int64),
            indices=np.concatenate([np.zeros(0, np.int32), *(part.indices for part in parts)]),
            values=np.concatenate([np.zeros(0, np.float32), *(part.values for part in parts)]),
            vocab_size=vocab_size,
        )

    def take(self, order: Sequence[int]) -> "SparseVectors":
        """The rows named by `order`, in that order."""
        rows = [self.row(index) for index in order]
        lengths = np.array([0, *(len(ids) for ids, _ in rows)], dtype=np.int64)
        return SparseVectors(
            indptr=np.cumsum(lengths, dtype=np.int64),
            indices=np.concatenate([np.zeros(0, np.int32), *(ids for ids, _ in rows)]),
            values=np.concatenate([np.zeros(0, np.float32), *(values for _, values in rows)]),
            vocab_size=self.vocab_size,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Embeddings:
    """What `Embedder.encode` returns, in the order of the input texts.

    Attributes:
        dense: float32 `[num_texts, dim]`, or None if it was not asked for.
        sparse: Token weights, or None if they were not asked for.
        num_tokens: int64 `[num_texts]`, tokens that the model saw, special tokens included.
        is_truncated: bool `[num_texts]`, whether tokens of the text were dropped.
        count_dropped: Counts the dropped tokens of one text; called only when
            `num_tokens_dropped` is read, because counting means tokenising what was cut off.
    """

    dense: NDArray[np.float32] | None
    sparse: SparseVectors | None
    num_tokens: NDArray[np.int64]
    is_truncated: NDArray[np.bool_]
    count_dropped: Callable[[int], int] = field(default=lambda index: 0, repr=False)

    def __len__(self) -> int:
        return len(self.num_tokens)

    @cached_property
    def num_tokens_dropped(self) -> NDArray[np.int64]:
        """int64 `[num_texts]`: tokens that did not fit in the model's maximum length."""
        dropped = np.zeros(len(self), dtype=np.int64)
        for index in np.flatnonzero(self.is_truncated):
            dropped[index] = self.count_dropped(int(index))
        return dropped

    def __getstate__(self) -> dict[str, Any]:
        """Pickling counts what was dropped, as the texts do not travel along."""
        return {
            "dense": self.dense,
            "sparse": self.sparse,
            "num_tokens": self.num_tokens,
            "is_truncated": self.is_truncated,
            "num_tokens_dropped": self.num_tokens_dropped,
        }
