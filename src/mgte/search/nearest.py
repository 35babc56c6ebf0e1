"""Exact nearest rows by inner product, in blocks: the score matrix never exists as a whole."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from mgte.errors import DataError
from mgte.search.ranking import FloatArray, Ranking

_QUERIES_PER_BLOCK = 256
_DOCUMENTS_PER_BLOCK = 65_536
_RESIDENT_BYTES = 4 * 2**30


def nearest_rows(
    queries: FloatArray,
    documents: FloatArray,
    count: int,
    *,
    device: str | torch.device = "cpu",
    documents_per_block: int = _DOCUMENTS_PER_BLOCK,
) -> list[Ranking]:
    """The documents with the largest inner products with each query; see `DocumentVectors.nearest`.

    Args:
        queries: float32 `[num_queries, dim]`.
        documents: float32 `[num_documents, dim]`.
        count: Documents per query; fewer where there are not as many.
        device: Where the products are computed.
        documents_per_block: Documents that are compared at once.

    Returns:
        One ranking per query.

    Raises:
        DataError: Widths differ, or a vector holds NaN or infinity.
    """
    placed = DocumentVectors(documents, device=device, documents_per_block=documents_per_block)
    return placed.nearest(queries, count)


class DocumentVectors:
    """Vectors of documents where they are compared: checked and moved once, searched often.

    Args:
        documents: float32 `[num_documents, dim]`.
        device: Where the products are computed. Up to 4 GiB of vectors stay there; more are moved
            block by block in every search.
        documents_per_block: Documents that are compared at once.

    Raises:
        DataError: A vector holds NaN or infinity.
    """

    def __init__(
        self,
        documents: FloatArray,
        *,
        device: str | torch.device = "cpu",
        documents_per_block: int = _DOCUMENTS_PER_BLOCK,
    ) -> None:
        check_vectors(documents, "document vectors")
        self._dim = documents.shape[1]
        self._device = torch.device(device)
        self._block = documents_per_block
        stays = documents.nbytes <= _RESIDENT_BYTES
        self._documents = _to_device(documents, self._device if stays else torch.device("cpu"))

    def nearest(self, queries: FloatArray, count: int) -> list[Ranking]:
        """The documents with the largest inner products with each query.

        Exact; equal scores are taken in the order of their rows. Needs memory for 256 times
        `documents_per_block` scores beside the vectors.

        Args:
            queries: float32 `[num_queries, dim]`.
            count: Documents per query; fewer where there are not as many.

        Returns:
            One ranking per query.

        Raises:
            DataError: Widths differ, or a vector holds NaN or infinity.
        """
        check_vectors(queries, "query vectors")
        if queries.shape[1] != self._dim:
            raise DataError(
                f"nearest rows: queries have {queries.shape[1]} dimensions and documents "
                f"{self._dim}, expected equal"
            )
        rankings: list[Ranking] = []
        for start in range(0, len(queries), _QUERIES_PER_BLOCK):
            block = _to_device(queries[start : start + _QUERIES_PER_BLOCK], self._device)
            rankings.extend(_rankings(*self._search_block(block, count)))
        return rankings

    def _search_block(self, queries: Tensor, count: int) -> tuple[Tensor, Tensor]:
        scores = queries.new_empty((len(queries), 0))
        rows = torch.empty((len(queries), 0), dtype=torch.int64, device=queries.device)
        for start in range(0, len(self._documents), self._block):
            block = self._documents[start : start + self._block].to(queries.device)
            found, found_scores = _best_columns(queries @ block.T, count)
            # Among equal scores, earlier rows stand further left, so the choice below keeps them.
            scores = torch.cat([scores, found_scores], dim=1)
            rows = torch.cat([rows, found + start], dim=1)
            kept, scores = _best_columns(scores, count)
            rows = rows.gather(1, kept)
        return rows, scores


def check_vectors(vectors: FloatArray, name: str) -> None:
    """Refuse what would silently spoil every comparison.

    Args:
        vectors: float32 `[num_texts, dim]`.
        name: What they are, for the message.

    Raises:
        DataError: They are no matrix, or a row holds NaN or infinity.
    """
    if vectors.ndim != 2:
        raise DataError(f"{name}: got shape {vectors.shape}, expected [texts, dim]")
    # Sums are finite exactly if all numbers are (float64 does not overflow), and cost no copy.
    sums = vectors.sum(axis=1, dtype=np.float64)
    if not np.isfinite(sums).all():
        row = int(np.flatnonzero(~np.isfinite(sums))[0])
        raise DataError(
            f"{name}: row {row} holds NaN or infinity, expected numbers",
            hint="the model may have diverged, or overflows in its dtype: try float32",
        )


def _best_columns(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Columns and values of the largest scores per line; of equal ones, the leftmost."""
    count = min(count, scores.shape[1])
    if count == 0:
        return torch.empty_like(scores[:, :0], dtype=torch.int64), scores[:, :0]
    values, columns = scores.topk(count, dim=1)
    # `topk` leaves open which of several equal scores it takes at the end.
    last = values[:, -1:]
    num_equal = (scores == last).sum(dim=1)
    num_taken = (values == last).sum(dim=1)
    for line in (num_equal > num_taken).nonzero().flatten().tolist():
        leftmost = (scores[line] == last[line]).nonzero().flatten()[: int(num_taken[line])]
        columns[line, values[line] == last[line]] = leftmost
    columns = columns.sort(dim=1).values
    values, order = scores.gather(1, columns).sort(dim=1, descending=True, stable=True)
    return columns.gather(1, order), values


def _rankings(rows: Tensor, scores: Tensor) -> Iterator[Ranking]:
    for line, values in zip(rows.cpu().numpy(), scores.cpu().numpy(), strict=True):
        yield Ranking(rows=line, scores=values)


def _to_device(vectors: FloatArray, device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32)).to(device)
