"""TrainingRows: what the plan and the makers of batches need of a prepared dataset."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mgte.data.batches import FloatArray, IntArray
from mgte.data.config import DatasetKind
from mgte.text import TrainingGroup


class TrainingRows(Protocol):
    """Rows of one dataset, by number. `PreparedDataset` is one."""

    @property
    def kind(self) -> DatasetKind:
        """Kind of the rows."""
        ...

    @property
    def fingerprint(self) -> str:
        """Equal for datasets in which every row number means the same."""
        ...

    @property
    def num_rows(self) -> int:
        """Rows."""
        ...

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources."""
        ...

    @property
    def languages(self) -> tuple[str, ...]:
        """Language codes."""
        ...

    @property
    def symmetric(self) -> Sequence[bool]:
        """By source: whether the sides of its pairs may swap places."""
        ...

    @property
    def source_ids(self) -> NDArray[np.uint16]:
        """Number of each row's source, uint16 [num_rows]."""
        ...

    @property
    def language_ids(self) -> NDArray[np.uint16]:
        """Number of each row's language, uint16 [num_rows]."""
        ...

    @property
    def lengths(self) -> IntArray:
        """Tokens of each row's (longest) text or document without special tokens, int64."""
        ...

    @property
    def query_lengths(self) -> IntArray:
        """Tokens of each row's query without special tokens, int64; 0 without queries."""
        ...

    @property
    def query_hashes(self) -> IntArray:
        """`text_hash` of each row's query, int64 [num_rows] (kinds "pairs" and "groups")."""
        ...

    def tokens(self, row: int, start: int = 0, stop: int | None = None) -> NDArray[np.uint32]:
        """Token ids of a text or of a part of it, without special tokens (kind "texts")."""
        ...

    def groups(self, rows: IntArray) -> list[TrainingGroup]:
        """Rows of kind "pairs" or "groups", in the order asked for."""
        ...

    def vector_rows(self, rows: IntArray) -> tuple[list[str], FloatArray]:
        """Texts and vectors of rows of kind "vectors", in the order asked for."""
        ...

    def place(self, row: int) -> str:
        """File and line of the raw row, for messages."""
        ...
