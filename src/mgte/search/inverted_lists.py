"""InvertedLists: exact products of sparse token weights, token by token instead of text by text."""

from collections.abc import Iterator

import numpy as np

from mgte.errors import DataError
from mgte.search.ranking import FloatArray, Ranking, rank_positive
from mgte.vectors import SparseVectors


class InvertedLists:
    """Documents by the tokens that they hold.

    A query looks at the lists of its own tokens only, so its cost does not grow with the number of
    tokens in all documents.

    Args:
        documents: Token weights, one row per document.

    Raises:
        DataError: A weight is NaN or infinite.
    """

    def __init__(self, documents: SparseVectors) -> None:
        _check_finite(documents, "document weights")
        self.num_documents = len(documents)
        self.vocab_size = documents.vocab_size
        owners = np.repeat(np.arange(len(documents)), np.diff(documents.indptr))
        order = np.argsort(documents.indices, kind="stable")
        self._rows = owners[order]
        self._weights = documents.values[order]
        counts = np.bincount(documents.indices, minlength=documents.vocab_size)
        self._starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])

    def scores(self, queries: SparseVectors) -> Iterator[FloatArray]:
        """Products of each query with all documents.

        Args:
            queries: Token weights over the same vocabulary.

        Yields:
            float32 `[num_documents]` per query.

        Raises:
            DataError: The vocabularies differ, or a weight is NaN or infinite.
        """
        if queries.vocab_size != self.vocab_size:
            raise DataError(
                f"query weights: over {queries.vocab_size} tokens, expected "
                f"{self.vocab_size} as the documents"
            )
        _check_finite(queries, "query weights")
        for index in range(len(queries)):
            token_ids, weights = queries.row(index)
            lists = [slice(self._starts[i], self._starts[i + 1]) for i in token_ids]
            if not lists:
                yield np.zeros(self.num_documents, np.float32)
                continue
            rows = np.concatenate([self._rows[part] for part in lists])
            products = np.concatenate(
                [self._weights[part] * weight for part, weight in zip(lists, weights, strict=True)]
            )
            sums = np.bincount(rows, weights=products, minlength=self.num_documents)
            yield sums.astype(np.float32)

    def best_rows(self, queries: SparseVectors, count: int) -> list[Ranking]:
        """Documents that share a token with the query, by falling product.

        Args:
            queries: Token weights over the same vocabulary.
            count: Documents per query at most.

        Returns:
            One ranking per query.

        Raises:
            DataError: The vocabularies differ.
        """
        return [rank_positive(scores, count) for scores in self.scores(queries)]


def _check_finite(weights: SparseVectors, name: str) -> None:
    wrong = np.flatnonzero(~np.isfinite(weights.values))
    if len(wrong):
        row = int(np.searchsorted(weights.indptr, wrong[0], side="right")) - 1
        raise DataError(f"{name}: row {row} holds NaN or infinity, expected numbers")
