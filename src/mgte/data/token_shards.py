"""Token shards: the token ids of texts as plain `.npy` files, read through memory maps.

    tokens-00000.npy ...   uint32, the texts' tokens end to end; a text never spans two shards
    offsets.npy            int64 [rows + 1], where each text starts, counted over all shards
    source_ids.npy         uint16 [rows]
    language_ids.npy       uint16 [rows]
    file_ids.npy           uint32 [rows], which input file a text comes from
    file_rows.npy          int64 [rows], and which line or row of it

No special tokens are stored: they depend on how a text is cut.
"""

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgte.errors import DataError

DEFAULT_SHARD_BYTES = 64 * 2**20
_TOKEN_BYTES = 4
_COLUMNS: dict[str, tuple[str, Any]] = {
    "source_ids": ("H", np.uint16),
    "language_ids": ("H", np.uint16),
    "file_ids": ("I", np.uint32),
    "file_rows": ("q", np.int64),
}


class TokenShardWriter:
    """Writes texts' tokens; holds one shard and 24 bytes per text in memory.

    Args:
        folder: Existing folder.
        shard_bytes: Size from which on a shard is closed.
    """

    def __init__(self, folder: Path, *, shard_bytes: int = DEFAULT_SHARD_BYTES) -> None:
        self._folder = folder
        self._shard_tokens = max(1, shard_bytes // _TOKEN_BYTES)
        self._pending: list[NDArray[np.uint32]] = []
        self._num_pending = 0
        self._offsets = array("q", [0])
        self._columns = {name: array(code) for name, (code, _) in _COLUMNS.items()}
        self._files: list[str] = []

    def add(
        self, tokens: NDArray[Any], *, source: int, language: int, file: int, file_row: int
    ) -> None:
        """Append one text.

        Args:
            tokens: Its token ids.
            source: Number of its source.
            language: Number of its language.
            file: Number of its input file.
            file_row: Its line or row there.
        """
        self._pending.append(tokens.astype(np.uint32))
        self._num_pending += len(tokens)
        self._offsets.append(self._offsets[-1] + len(tokens))
        for name, value in zip(_COLUMNS, (source, language, file, file_row), strict=True):
            self._columns[name].append(value)
        if self._num_pending >= self._shard_tokens:
            self._write_shard()

    def finish(self) -> list[str]:
        """Write what is left.

        Returns:
            Names of all files.
        """
        if self._num_pending or not self._files:
            self._write_shard()
        self._save("offsets.npy", np.array(self._offsets, dtype=np.int64))
        for name, (_, dtype) in _COLUMNS.items():
            self._save(f"{name}.npy", np.array(self._columns[name], dtype=dtype))
        return self._files

    def _write_shard(self) -> None:
        tokens = np.concatenate([np.zeros(0, np.uint32), *self._pending])
        self._save(f"tokens-{len(self._files):05d}.npy", tokens)
        self._pending, self._num_pending = [], 0

    def _save(self, name: str, values: NDArray[Any]) -> None:
        np.save(self._folder / name, values)
        self._files.append(name)


class TokenShards:
    """Reads what `TokenShardWriter` wrote, without loading it.

    Args:
        folder: The folder.
        shards: Names of the token files, in order.

    Attributes:
        num_rows: Texts.
        source_ids: Source of each text.
        language_ids: Language of each text.

    Raises:
        DataError: A file is no array of the expected kind, or the files do not fit together.
    """

    def __init__(self, folder: Path, shards: Sequence[str]) -> None:
        self._offsets = _map(folder / "offsets.npy", np.int64)
        self.num_rows = len(self._offsets) - 1
        columns = {
            name: _map(folder / f"{name}.npy", dtype) for name, (_, dtype) in _COLUMNS.items()
        }
        self.source_ids: NDArray[np.uint16] = columns["source_ids"]
        self.language_ids: NDArray[np.uint16] = columns["language_ids"]
        self._file_ids, self._file_rows = columns["file_ids"], columns["file_rows"]
        for name, column in columns.items():
            if len(column) != self.num_rows:
                raise DataError(
                    f"{folder / name}.npy: has {len(column):,} rows, expected {self.num_rows:,}"
                )
        self._shards = [_map(folder / name, np.uint32) for name in shards]
        self._starts = np.cumsum([0, *map(len, self._shards)])
        if self.num_rows < 0 or self._starts[-1] != self._offsets[-1]:
            raise DataError(
                f"{folder}: the token files hold {self._starts[-1]:,} tokens, expected as many as "
                "offsets.npy says"
            )

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text."""
        return np.diff(self._offsets)

    def tokens(self, row: int, start: int = 0, stop: int | None = None) -> NDArray[np.uint32]:
        """Token ids of a text, or of its part from `start` to `stop`; a view of the file.

        Args:
            row: Which text.
            start: First token.
            stop: One past the last token; None for the end of the text.

        Returns:
            The ids; fewer where the text is shorter.
        """
        first, last = int(self._offsets[row]), int(self._offsets[row + 1])
        begin = min(first + start, last)
        end = last if stop is None else max(begin, min(first + stop, last))
        shard = int(np.searchsorted(self._starts, first, side="right")) - 1
        shard = min(shard, len(self._shards) - 1)
        offset = int(self._starts[shard])
        return self._shards[shard][begin - offset : end - offset]

    def file_and_row(self, row: int) -> tuple[int, int]:
        """Number of the input file of a text, and its line or row there."""
        return int(self._file_ids[row]), int(self._file_rows[row])


def _map(path: Path, dtype: Any) -> NDArray[Any]:
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(
            f"{path}: not readable as an array ({error})", hint="prepare the dataset again"
        ) from error
    if values.dtype != dtype or values.ndim != 1:
        raise DataError(
            f"{path}: holds {values.dtype} of {values.ndim} axes, expected {np.dtype(dtype)} of one"
        )
    return values  # type: ignore[no-any-return]
