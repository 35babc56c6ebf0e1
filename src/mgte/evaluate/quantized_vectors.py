"""Document vectors in fewer bytes, searched exactly: float16, int8, bits, bits with rescoring."""

from collections.abc import Callable, Iterator
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mgte.errors import ConfigError, DataError
from mgte.search import (
    FloatArray,
    Ranking,
    check_vectors,
    merge_rankings,
    nearest_rows,
    rank_rows,
)

Precision = Literal["float32", "float16", "int8", "binary", "binary-rescored"]
PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "int8", "binary", "binary-rescored")

_DOCUMENTS_PER_BLOCK = 65_536
_MOST_CALIBRATED = 10_000
_STEPS = 255


class QuantizedVectors(Protocol):
    """Vectors of documents, as they are kept."""

    @property
    def bytes_per_document(self) -> int:
        """Bytes of one document's vector; what all share (ranges) is not counted."""
        ...

    def nearest(self, queries: FloatArray, count: int) -> list[Ranking]:
        """The documents that score highest.

        Args:
            queries: float32 `[num_queries, width]`; they stay as they are.
            count: Documents per query; fewer where there are not as many.

        Returns:
            One ranking per query; equal scores in the order of their rows.

        Raises:
            DataError: Widths differ, or a vector holds NaN or infinity.
        """
        ...


def quantize(
    documents: FloatArray, precision: Precision, *, candidates: int = 4, seed: int = 0
) -> QuantizedVectors:
    """Keep document vectors in fewer bytes.

    Args:
        documents: float32 `[num_documents, width]`.
        precision: "float32" and "float16"; "int8": 255 equal steps between each dimension's
            smallest and largest value; "binary": signs, compared by Hamming distance;
            "binary-rescored": the best candidates of that, scored again with the query as it is
            and int8 documents.
        candidates: Candidates that are scored again, as a multiple of the documents wanted.
        seed: Decides which documents calibrate int8, where there are more than 10,000.

    Returns:
        The vectors.

    Raises:
        DataError: A vector holds NaN or infinity, or there are none.
        ConfigError: The precision is unknown, or `candidates` is below 1.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"precision: got {precision!r}, expected one of {', '.join(PRECISIONS)}")
    if candidates < 1:
        raise ConfigError(f"candidates: got {candidates}, expected at least 1")
    check_vectors(documents, "document vectors")
    if not documents.size:
        raise DataError(f"document vectors: got shape {documents.shape}, expected some")
    makers: dict[str, Callable[[], QuantizedVectors]] = {
        "float32": lambda: FloatVectors(documents),
        "float16": lambda: FloatVectors(_as_half(documents)),
        "int8": lambda: ByteVectors(documents, seed=seed),
        "binary": lambda: SignVectors(documents),
        "binary-rescored": lambda: RescoredVectors(documents, candidates=candidates, seed=seed),
    }
    return makers[precision]()


class FloatVectors:
    """Vectors as floating-point numbers of any size; products are float32.

    Args:
        documents: float32 or float16 `[num_documents, width]`.
    """

    def __init__(self, documents: NDArray[np.float32] | NDArray[np.float16]) -> None:
        self._documents = documents

    @property
    def bytes_per_document(self) -> int:
        """Bytes of one vector."""
        return int(self._documents.shape[1]) * self._documents.itemsize

    def nearest(self, queries: FloatArray, count: int) -> list[Ranking]:
        """By inner product; see `QuantizedVectors.nearest`."""
        if self._documents.dtype == np.float32:
            return nearest_rows(queries, self._documents.astype(np.float32, copy=False), count)
        return _nearest_of_blocks(
            queries, (part.astype(np.float32) for part in _blocks(self._documents)), count
        )


class ByteVectors:
    """Vectors in one byte per dimension.

    A code is the number of the step, 0 to 255, between the dimension's smallest and largest value
    in a sample of documents; values beyond are cut to these.

    Args:
        documents: float32 `[num_documents, width]`.
        seed: Decides on the sample.
    """

    def __init__(self, documents: FloatArray, *, seed: int = 0) -> None:
        sample = documents
        if len(documents) > _MOST_CALIBRATED:
            random = np.random.default_rng(seed)
            sample = documents[random.choice(len(documents), _MOST_CALIBRATED, replace=False)]
        self._low = sample.min(axis=0)
        spread = sample.max(axis=0) - self._low
        # A dimension that is the same everywhere has one code, 0.
        self._step = np.where(spread > 0, spread / _STEPS, 1.0).astype(np.float32)
        self._codes = np.concatenate(
            [
                np.clip(np.rint((part - self._low) / self._step), 0, _STEPS).astype(np.uint8)
                for part in _blocks(documents)
            ]
        )

    @property
    def bytes_per_document(self) -> int:
        """One byte per dimension."""
        return int(self._codes.shape[1])

    def values(self, rows: NDArray[np.int64]) -> FloatArray:
        """Vectors as they are kept.

        Args:
            rows: int64 `[num_rows]`.

        Returns:
            float32 `[num_rows, width]`.
        """
        found: FloatArray = self._codes[rows].astype(np.float32) * self._step + self._low
        return found

    def nearest(self, queries: FloatArray, count: int) -> list[Ranking]:
        """By inner product of the query with the document's steps; see `QuantizedVectors`."""
        _check_width(queries, self._codes.shape[1])
        # q . (low + step * code): the steps go to the query, so that documents stay whole numbers.
        offsets = queries @ self._low
        found = _nearest_of_blocks(
            queries * self._step, (part.astype(np.float32) for part in _blocks(self._codes)), count
        )
        return [
            Ranking(rows=ranking.rows, scores=ranking.scores + offset)
            for ranking, offset in zip(found, offsets, strict=True)
        ]


class SignVectors:
    """Vectors in one bit per dimension: whether the value is above 0.

    Args:
        documents: float32 `[num_documents, width]`.
    """

    def __init__(self, documents: FloatArray) -> None:
        self._width = int(documents.shape[1])
        self._words = _as_words(documents)

    @property
    def bytes_per_document(self) -> int:
        """One bit per dimension, in whole bytes."""
        return -(-self._width // 8)

    def nearest(self, queries: FloatArray, count: int) -> list[Ranking]:
        """By Hamming distance to the query's signs; see `QuantizedVectors.nearest`.

        Scores are the dimensions with equal signs minus those with others.
        """
        check_vectors(queries, "query vectors")
        _check_width(queries, self._width)
        rows = np.arange(len(self._words))
        found = []
        for words in _as_words(queries):
            distances = _count_ones(self._words ^ words)
            scores = (self._width - 2 * distances).astype(np.float32)
            found.append(rank_rows(rows, scores, count))
        return found


class RescoredVectors:
    """Bits that find candidates, and bytes that put them in order.

    Args:
        documents: float32 `[num_documents, width]`.
        candidates: Candidates as a multiple of the documents wanted.
        seed: Decides which documents calibrate the bytes.
    """

    def __init__(self, documents: FloatArray, *, candidates: int, seed: int = 0) -> None:
        self._signs = SignVectors(documents)
        self._bytes = ByteVectors(documents, seed=seed)
        self._candidates = candidates

    @property
    def bytes_per_document(self) -> int:
        """Bits and bytes."""
        return self._signs.bytes_per_document + self._bytes.bytes_per_document

    def nearest(self, queries: FloatArray, count: int) -> list[Ranking]:
        """By the inner product of the candidates; see `QuantizedVectors.nearest`."""
        first = self._signs.nearest(queries, count * self._candidates)
        return [
            rank_rows(ranking.rows, self._bytes.values(ranking.rows) @ query, count)
            for ranking, query in zip(first, queries, strict=True)
        ]


def _nearest_of_blocks(
    queries: FloatArray, blocks: Iterator[FloatArray], count: int
) -> list[Ranking]:
    """Nearest rows of documents that become float32 block by block."""
    found: list[Ranking] | None = None
    start = 0
    for block in blocks:
        found = merge_rankings(found, nearest_rows(queries, block, count), start, count)
        start += len(block)
    return found or []


def _blocks(vectors: NDArray[np.generic]) -> Iterator[NDArray[np.generic]]:
    for start in range(0, len(vectors), _DOCUMENTS_PER_BLOCK):
        yield vectors[start : start + _DOCUMENTS_PER_BLOCK]


def _as_half(documents: FloatArray) -> NDArray[np.float16]:
    largest = float(np.abs(documents).max())
    if largest > float(np.finfo(np.float16).max):
        raise DataError(f"document vectors: {largest:g} is too large for float16")
    return documents.astype(np.float16)


def _as_words(vectors: FloatArray) -> NDArray[np.uint64]:
    """Signs as bits, 64 of them in a word; bits beyond the width are 0."""
    packed = np.packbits(vectors > 0, axis=1)
    missing = -packed.shape[1] % 8
    return np.ascontiguousarray(np.pad(packed, ((0, 0), (0, missing)))).view(np.uint64)


def _count_ones(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Ones per line."""
    is_new = np.lib.NumpyVersion(np.__version__) >= "2.0.0"
    ones = np.bitwise_count(words) if is_new else _ONES[words.view(np.uint8)]
    counts: NDArray[np.int64] = ones.sum(axis=1, dtype=np.int64)
    return counts


# Ones of each byte: NumPy 1 cannot count them itself.
_ONES = np.array([value.bit_count() for value in range(256)], dtype=np.uint8)


def _check_width(queries: FloatArray, width: int) -> None:
    if queries.shape[1] != width:
        raise DataError(
            f"nearest rows: queries have {queries.shape[1]} dimensions and documents {width}, "
            "expected equal"
        )
