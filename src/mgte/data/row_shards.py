"""Row shards: pairs, groups and texts with vectors as Parquet files that anyone can read.

Rows are drawn at random, so row groups are small: to read one row, 64 are read.
"""

import importlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgte.data.config import DatasetKind
from mgte.errors import BackendUnavailableError, DataError

_ROWS_PER_GROUP = 64
_ROWS_PER_SHARD = 2**17
_CACHE_BYTES = 256 * 2**20
_MAX_OPEN_FILES = 64

Columns = dict[str, list[Any]]


def row_schema(kind: DatasetKind, dim: int = 0) -> Any:
    """Columns of one kind, as an Arrow schema.

    Args:
        kind: "pairs", "groups" or "vectors".
        dim: Width of the vectors.

    Returns:
        The schema. Lengths are token counts without special tokens; of groups that of the longest
        document.

    Raises:
        BackendUnavailableError: pyarrow is not installed.
    """
    pa = import_arrow("pyarrow")
    string, strings, scores = pa.string(), pa.list_(pa.string()), pa.list_(pa.float32())
    own: dict[DatasetKind, list[tuple[str, Any]]] = {
        "pairs": [("query", string), ("document", string)],
        "groups": [
            ("query", string),
            ("positives", strings),
            ("negatives", strings),
            ("positive_scores", scores),
            ("negative_scores", scores),
        ],
        "vectors": [("text", string), ("vector", pa.list_(pa.float16(), dim))],
    }
    shared = [("source", string), ("language", string), ("place", string)]
    lengths = [("query_length", pa.int32()), ("length", pa.int32())]
    return pa.schema([*own[kind], *shared, *lengths])


class RowShardWriter:
    """Writes rows; holds one row group in memory.

    Args:
        folder: Existing folder.
        schema: Columns, as `row_schema` gives them.
        rows_per_shard: Rows of one file.
    """

    def __init__(self, folder: Path, schema: Any, *, rows_per_shard: int = _ROWS_PER_SHARD) -> None:
        self._folder = folder
        self._schema = schema
        self._rows_per_shard = rows_per_shard
        self._pending: Columns = {name: [] for name in schema.names}
        self._file: Any = None
        self._num_rows = 0
        self._files: list[str] = []

    def add(self, **row: Any) -> None:
        """Append one row.

        Args:
            **row: A value for every column.
        """
        for name, values in self._pending.items():
            values.append(row[name])
        if len(self._pending["place"]) == _ROWS_PER_GROUP:
            self._write_group()

    def finish(self) -> list[str]:
        """Write what is left.

        Returns:
            Names of all files.
        """
        if self._pending["place"] or not self._files:
            self._write_group()
        self.close()
        return self._files

    def close(self) -> None:
        """Let go of the open file; also after an error."""
        if self._file is not None:
            self._file.close()
        self._file, self._num_rows = None, 0

    def _write_group(self) -> None:
        pa, parquet = import_arrow("pyarrow"), import_arrow("pyarrow.parquet")
        if self._file is None:
            self._files.append(f"rows-{len(self._files):05d}.parquet")
            # Statistics would put whole texts into the footer, once per row group.
            self._file = parquet.ParquetWriter(
                self._folder / self._files[-1],
                self._schema,
                compression="zstd",
                use_dictionary=["source", "language"],
                write_statistics=False,
            )
        self._file.write_table(pa.table(self._pending, schema=self._schema))
        self._num_rows += len(self._pending["place"])
        self._pending = {name: [] for name in self._schema.names}
        if self._num_rows >= self._rows_per_shard:
            self.close()


class RowShards:
    """Reads what `RowShardWriter` wrote; recent row groups stay in memory, up to 256 MiB.

    Several threads may use one.

    Args:
        folder: The folder.
        shards: Names of the files, in order.

    Attributes:
        num_rows: Rows.
    """

    def __init__(self, folder: Path, shards: Sequence[str]) -> None:
        self._paths = [folder / name for name in shards]
        self._open: OrderedDict[int, Any] = OrderedDict()
        self._cache: OrderedDict[tuple[int, int], Any] = OrderedDict()
        self._cached_bytes = 0
        self._lock = Lock()
        # First row of every row group, over all shards, and where the group is.
        counts: list[int] = []
        self._groups: list[tuple[int, int]] = []
        for shard in range(len(self._paths)):
            metadata = self._opened(shard).metadata
            for group in range(metadata.num_row_groups):
                self._groups.append((shard, group))
                counts.append(metadata.row_group(group).num_rows)
        self._starts = np.cumsum([0, *counts])
        self.num_rows = int(self._starts[-1])

    def column(self, name: str, dtype: Any) -> NDArray[Any]:
        """A whole column of numbers."""
        return np.concatenate([c.to_numpy(zero_copy_only=False) for c in self._read(name)]).astype(
            dtype, copy=False
        )

    def texts(self, name: str) -> Iterator[list[str]]:
        """A whole column of texts, one shard after the other.

        Args:
            name: The column.

        Yields:
            Texts of a shard.

        Raises:
            DataError: A file is damaged.
        """
        for shard in range(len(self._paths)):
            with self._lock:
                table = self._guarded(shard, lambda file: file.read(columns=[name]))
            yield table.column(name).to_pylist()

    def name_ids(self, name: str, names: Sequence[str]) -> NDArray[np.uint16]:
        """A whole column of names as their numbers.

        Args:
            name: The column.
            names: All names that occur.

        Returns:
            One number per row.

        Raises:
            DataError: Another name occurs.
        """
        pa, compute = import_arrow("pyarrow"), import_arrow("pyarrow.compute")
        parts = []
        for shard, column in enumerate(self._read(name)):
            ids = compute.index_in(column, value_set=pa.array(names, pa.string()))
            if ids.null_count:
                raise DataError(f"{self._paths[shard]}: column `{name}` holds an unknown name")
            parts.append(ids.to_numpy(zero_copy_only=False).astype(np.uint16))
        return np.concatenate(parts)

    def rows(self, rows: NDArray[Any], columns: Sequence[str]) -> list[dict[str, Any]]:
        """Rows by number, in the order asked for.

        Args:
            rows: Row numbers.
            columns: Columns that are wanted.

        Returns:
            One dict per row.

        Raises:
            DataError: A file is damaged.
        """
        found: list[dict[str, Any]] = [{}] * len(rows)
        group_of = np.searchsorted(self._starts, rows, side="right") - 1
        for group in np.unique(group_of).tolist():
            places = np.flatnonzero(group_of == group)
            table = self._group(group).select(list(columns))
            local = np.asarray(rows)[places] - self._starts[group]
            for place, record in zip(places.tolist(), table.take(local).to_pylist(), strict=True):
                found[place] = record
        return found

    def vectors(self, rows: NDArray[Any], column: str, dim: int) -> NDArray[np.float32]:
        """Vectors of rows by number, in the order asked for.

        Args:
            rows: Row numbers.
            column: Column of vectors.
            dim: Their width.

        Returns:
            float32 [rows, dim].
        """
        found = np.empty((len(rows), dim), dtype=np.float32)
        group_of = np.searchsorted(self._starts, rows, side="right") - 1
        for group in np.unique(group_of).tolist():
            places = np.flatnonzero(group_of == group)
            values = self._group(group).column(column).combine_chunks().flatten()
            stored = values.to_numpy(zero_copy_only=False).reshape(-1, dim)
            found[places] = stored[np.asarray(rows)[places] - self._starts[group]]
        return found

    def _group(self, number: int) -> Any:
        key = self._groups[number]
        with self._lock:
            if key not in self._cache:
                table = self._guarded(key[0], lambda file: file.read_row_group(key[1]))
                self._cache[key] = table
                self._cached_bytes += table.nbytes
                while self._cached_bytes > _CACHE_BYTES and len(self._cache) > 1:
                    _, oldest = self._cache.popitem(last=False)
                    self._cached_bytes -= oldest.nbytes
            self._cache.move_to_end(key)
            return self._cache[key]

    def _read(self, name: str) -> list[Any]:
        with self._lock:
            return [
                self._guarded(shard, lambda file: file.read(columns=[name])).column(name)
                for shard in range(len(self._paths))
            ]

    def _opened(self, shard: int) -> Any:
        if shard not in self._open:
            parquet, path = import_arrow("pyarrow.parquet"), self._paths[shard]
            try:
                self._open[shard] = parquet.ParquetFile(path, memory_map=True)
            except (OSError, ValueError) as error:  # pyarrow's own errors are of these kinds
                raise _damaged(path, error) from error
            if len(self._open) > _MAX_OPEN_FILES:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(shard)
        return self._open[shard]

    def _guarded(self, shard: int, read: Any) -> Any:
        try:
            return read(self._opened(shard))
        except (OSError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            raise _damaged(self._paths[shard], error) from error


def import_arrow(module: str) -> Any:
    """A module of pyarrow.

    Raises:
        BackendUnavailableError: pyarrow is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise BackendUnavailableError(
            "prepared pairs: are Parquet, which needs the package pyarrow",
            hint="pip install 'mgte[train]'",
        ) from error


def _damaged(path: Path, error: Exception) -> DataError:
    reason = (str(error).splitlines() or [""])[0][:120]
    return DataError(
        f"{path}: not readable as Parquet ({reason})", hint="prepare the dataset again"
    )
