"""PreparedDataset: a prepared folder, opened; rows by number, nothing loaded before it is asked."""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgte.data.batches import FloatArray, IntArray
from mgte.data.config import DatasetKind
from mgte.data.hashing import text_hashes
from mgte.data.manifest import Manifest, check_files, read_manifest
from mgte.data.row_shards import RowShards
from mgte.data.source_files import row_place
from mgte.data.token_shards import TokenShards
from mgte.errors import DataError
from mgte.text import Tokenizer, TrainingGroup

TOKENIZER_FOLDER = "tokenizer"


class PreparedDataset:
    """A prepared folder of any kind; `open_dataset` makes one.

    Rows are numbered from 0 in the order of the settings and files. Token ids and vectors come from
    memory-mapped files; several threads may read at once.

    Args:
        path: The folder, checked.
        manifest: Its manifest.

    Attributes:
        path: The folder.
        manifest: What it says about itself.
        kind: Kind of the rows.
        fingerprint: Equal for folders in which every row number means the same.
        num_rows: Rows.
        sources: Names of the sources.
        languages: Language codes that occur.
        symmetric: By source: whether the sides of its pairs may swap places.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self.kind: DatasetKind = manifest.kind
        self.fingerprint = manifest.fingerprint
        self.num_rows = manifest.num_rows
        self.sources = tuple(source.name for source in manifest.sources)
        self.languages = manifest.languages
        self.symmetric = tuple(source.symmetric for source in manifest.sources)
        names = [file.name for file in manifest.files]
        self._texts: TokenShards | None = None
        self._rows: RowShards | None = None
        if self.kind == "texts":
            self._texts = TokenShards(path, [name for name in names if name.startswith("tokens-")])
        else:
            self._rows = RowShards(path, [name for name in names if name.startswith("rows-")])
        num_stored = (self._texts or self._row_shards).num_rows
        if num_stored != self.num_rows:
            raise DataError(f"{path}: holds {num_stored:,} rows, expected {self.num_rows:,}")

    @cached_property
    def source_ids(self) -> NDArray[np.uint16]:
        """Number of each row's source, uint16 [num_rows]."""
        if self._texts is not None:
            return self._texts.source_ids
        return self._row_shards.name_ids("source", self.sources)

    @cached_property
    def language_ids(self) -> NDArray[np.uint16]:
        """Number of each row's language, uint16 [num_rows]."""
        if self._texts is not None:
            return self._texts.language_ids
        return self._row_shards.name_ids("language", self.languages)

    @cached_property
    def lengths(self) -> IntArray:
        """Tokens without special tokens, int64 [num_rows]; of groups those of the longest document.

        The positives and negatives of a group both count.
        """
        if self._texts is not None:
            return self._texts.lengths
        return self._row_shards.column("length", np.int64)

    @cached_property
    def query_lengths(self) -> IntArray:
        """Tokens of each query without special tokens, int64 [num_rows]; 0 without queries."""
        if self._rows is None or self.kind == "vectors":
            return np.zeros(self.num_rows, dtype=np.int64)
        return self._row_shards.column("query_length", np.int64)

    @property
    def query_hashes(self) -> IntArray:
        """`text_hash` of each query (kinds "pairs" and "groups"), int64 [num_rows].

        Reads all queries each time, a shard at once.

        Raises:
            DataError: A file is damaged, or the dataset is of another kind.
        """
        if self.kind not in ("pairs", "groups"):
            raise self._wrong_kind("pairs or groups")
        return np.concatenate([text_hashes(part) for part in self._row_shards.texts("query")])

    def tokens(self, row: int, start: int = 0, stop: int | None = None) -> NDArray[np.uint32]:
        """Token ids of a text without special tokens (kind "texts"), or of a part of it.

        Args:
            row: Which text.
            start: First token.
            stop: One past the last token; None for the end of the text.

        Returns:
            The ids, a read-only view of the file; fewer where the text is shorter.

        Raises:
            DataError: There is no such row, or the dataset holds no texts.
        """
        self._check_rows(np.array([row]))
        if self._texts is None:
            raise self._wrong_kind("texts")
        return self._texts.tokens(row, start, stop)

    def groups(self, rows: IntArray) -> list[TrainingGroup]:
        """Rows of kind "pairs" or "groups", in the order asked for.

        Args:
            rows: Row numbers.

        Returns:
            Groups; a pair is a group of one positive without negatives.

        Raises:
            DataError: There is no such row, a file is damaged, or the dataset is of another kind.
        """
        self._check_rows(rows)
        shared = ("query", "source", "language")
        if self.kind == "pairs":
            return [
                TrainingGroup(positives=(record.pop("document"),), **record)
                for record in self._row_shards.rows(rows, (*shared, "document"))
            ]
        if self.kind != "groups":
            raise self._wrong_kind("pairs or groups")
        lists = ("positives", "negatives", "positive_scores", "negative_scores")
        records = self._row_shards.rows(rows, (*shared, *lists))
        for record in records:
            record.update((name, tuple(record[name])) for name in lists)
        return [TrainingGroup(**record) for record in records]

    def vector_rows(self, rows: IntArray) -> tuple[list[str], FloatArray]:
        """Rows of kind "vectors", in the order asked for.

        Args:
            rows: Row numbers.

        Returns:
            Texts, and their teacher's vectors, float32 [rows, dim].

        Raises:
            DataError: There is no such row, a file is damaged, or the dataset is of another kind.
        """
        self._check_rows(rows)
        if self.kind != "vectors":
            raise self._wrong_kind("vectors")
        texts = [record["text"] for record in self._row_shards.rows(rows, ("text",))]
        return texts, self._row_shards.vectors(rows, "vector", self.manifest.vector_dim)

    def place(self, row: int) -> str:
        """File and line of the raw row, "data/pairs.jsonl:1841", for messages."""
        self._check_rows(np.array([row]))
        if self._texts is None:
            return str(self._row_shards.rows(np.array([row]), ("place",))[0]["place"])
        file, number = self._texts.file_and_row(row)
        return row_place(self.manifest.inputs[file].name, number)

    def tokenizer(self) -> Tokenizer:
        """The tokenizer that the dataset was prepared with; a copy lies in its folder."""
        return Tokenizer.load(self.path / TOKENIZER_FOLDER)

    @property
    def _row_shards(self) -> RowShards:
        if self._rows is None:
            raise self._wrong_kind("pairs, groups or vectors")
        return self._rows

    def _check_rows(self, rows: NDArray[Any]) -> None:
        if len(rows) and not (0 <= int(np.min(rows)) and int(np.max(rows)) < self.num_rows):
            wrong = rows[(rows < 0) | (rows >= self.num_rows)][0]
            raise DataError(f"{self.path}: got row {wrong}, expected 0 to {self.num_rows - 1}")

    def _wrong_kind(self, expected: str) -> DataError:
        return DataError(f"{self.path}: holds {self.kind}, expected {expected}")


def open_dataset(
    path: str | Path, *, tokenizer: Tokenizer | None = None, verify: bool = False
) -> PreparedDataset:
    """Open a folder made by `prepare_dataset`.

    Args:
        path: The folder.
        tokenizer: The tokenizer that will be used; it must be the one of the preparation.
        verify: Whether all checksums are computed, which reads the whole folder; sizes are always
            checked.

    Returns:
        The dataset.

    Raises:
        DataError: The folder is incomplete, damaged, of another version or without rows, or was
            prepared with another tokenizer.
        BackendUnavailableError: pyarrow is not installed (all kinds but "texts").
    """
    folder = Path(path)
    manifest = read_manifest(folder)
    check_files(folder, manifest, verify=verify)
    if manifest.num_rows < 1:
        raise DataError(f"{folder}: holds no rows, expected at least one")
    if tokenizer is not None and tokenizer.fingerprint != manifest.tokenizer_fingerprint:
        raise DataError(
            f"{folder}: was prepared with another tokenizer (got {tokenizer.fingerprint[:12]}, "
            f"expected {manifest.tokenizer_fingerprint[:12]})",
            hint="prepare it again with this tokenizer, or load the one in its folder tokenizer/",
        )
    return PreparedDataset(folder, manifest)
