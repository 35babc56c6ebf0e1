"""Writes embeddings to .npz, .parquet or .jsonl, and reads them back as they were.

.npz: `ids` (str), `num_tokens` (int64), `is_truncated` (bool), `dense` (float32
`[num_texts, dim]`), `sparse_indptr` (int64), `sparse_indices` (int32), `sparse_values` (float32),
`vocab_size` (int64).
.parquet: `id`, `num_tokens`, `is_truncated`, `dense` (fixed-size list of float32), `sparse_ids`
(list of int32), `sparse_weights` (list of float32), `sparse_tokens` (list of string, if named).
.jsonl: one object per text: `id`, `num_tokens`, `is_truncated`, `dense`, and `sparse` with
`vocab_size`, `ids`, `weights`, `tokens` (if named). What was not computed is absent.
"""

import json
import os
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mgte.errors import DataError
from mgte.text.files import check_file, place, read_lines
from mgte.text.rows import import_parquet, parse_json
from mgte.text.whole_files import replace_file
from mgte.vectors import Embeddings, SparseVectors, TokenDecoder

EMBEDDING_SUFFIXES = (".npz", ".parquet", ".jsonl")
_VOCAB_SIZE = b"mgte.vocab_size"
_PARQUET_ROWS = 4096


def write_embeddings(
    path: str | Path | None,
    embeddings: Embeddings,
    ids: Sequence[str],
    tokenizer: TokenDecoder | None = None,
) -> None:
    """Write embeddings; the file appears whole or not at all.

    Args:
        path: Path that ends in .npz, .parquet or .jsonl; None writes JSON lines to standard output.
        embeddings: Vectors, token weights, or both.
        ids: One id per text.
        tokenizer: Names the tokens of the weights in .parquet and .jsonl.

    Raises:
        DataError: The path is not one to write to, the counts differ, or a vector holds NaN or
            infinity.
        BackendUnavailableError: The package that writes Parquet is absent.
    """
    if len(ids) != len(embeddings):
        raise DataError(f"ids: got {len(ids):,} for {len(embeddings):,} texts, expected as many")
    _check_finite(ids, embeddings)
    if path is None:
        for line in embedding_lines(ids, embeddings, tokenizer=tokenizer):
            sys.stdout.write(line + "\n")
        return
    path = check_output(path)
    writers: dict[str, Callable[[Path], None]] = {
        ".npz": lambda aside: _write_npz(aside, ids, embeddings),
        ".parquet": lambda aside: _write_parquet(aside, ids, embeddings, tokenizer),
        ".jsonl": lambda aside: _write_jsonl(aside, ids, embeddings, tokenizer),
    }
    replace_file(path, writers[path.suffix.lower()])


def check_output(path: str | Path) -> Path:
    """Check, before hours of work, that embeddings can be written to a path.

    Args:
        path: Path that ends in .npz, .parquet or .jsonl.

    Returns:
        The path.

    Raises:
        DataError: The suffix is unknown, the folder is absent or closed, or the path is a folder.
        BackendUnavailableError: The package that writes Parquet is absent.
    """
    path = Path(path)
    if _check_suffix(path) == ".parquet":
        import_parquet(path)
    if not path.parent.is_dir():
        raise DataError(f"{path.parent}: no such folder, expected one to write {path.name} in")
    if path.is_dir():
        raise DataError(f"{path}: is a folder, expected a file to write")
    if not os.access(path.parent, os.W_OK):
        raise DataError(f"{path.parent}: not writable, expected a folder to write {path.name} in")
    return path


def read_embeddings(path: str | Path) -> tuple[list[str], Embeddings]:
    """Read what `write_embeddings` wrote.

    Args:
        path: Path that ends in .npz, .parquet or .jsonl.

    Returns:
        Ids, and embeddings with the same numbers.

    Raises:
        DataError: There is no such file, or it is not one of ours.
        BackendUnavailableError: The package that reads Parquet is absent.
    """
    path = Path(path)
    readers = {".npz": _read_npz, ".parquet": _read_parquet, ".jsonl": _read_jsonl}
    reader = readers[_check_suffix(path)]
    check_file(path)
    try:
        return reader(path)
    except DataError:
        raise
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not readable as embeddings ({error})") from error


def embedding_lines(
    ids: Sequence[str], embeddings: Embeddings, *, tokenizer: TokenDecoder | None = None
) -> Iterator[str]:
    """One line of JSON per text, as in .jsonl files, for a file or standard output.

    Args:
        ids: One id per text.
        embeddings: Vectors, token weights, or both.
        tokenizer: Names the tokens of the weights.

    Yields:
        Lines without their ends.
    """
    for index, text_id in enumerate(ids):
        parts = [
            f'"id": {json.dumps(text_id, ensure_ascii=False)}',
            f'"num_tokens": {int(embeddings.num_tokens[index])}',
            f'"is_truncated": {"true" if embeddings.is_truncated[index] else "false"}',
        ]
        if embeddings.dense is not None:
            parts.append(f'"dense": {_numbers(embeddings.dense[index].tolist())}')
        if embeddings.sparse is not None:
            token_ids, weights = embeddings.sparse.row(index)
            sparse = f'"vocab_size": {embeddings.sparse.vocab_size}, "ids": {token_ids.tolist()}'
            sparse += f', "weights": {_numbers(weights.tolist())}'
            if tokenizer is not None:
                names = [tokenizer.decode([token_id]) for token_id in token_ids.tolist()]
                sparse += f', "tokens": {json.dumps(names, ensure_ascii=False)}'
            parts.append(f'"sparse": {{{sparse}}}')
        yield "{" + ", ".join(parts) + "}"


def _numbers(values: list[float]) -> str:
    """A JSON list; nine digits are enough to restore every float32."""
    return "[" + ", ".join([f"{value:.9g}" for value in values]) + "]"


def _check_suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in EMBEDDING_SUFFIXES:
        raise DataError(
            f"{path}: unknown suffix `{suffix}`, expected one of {', '.join(EMBEDDING_SUFFIXES)}"
        )
    return suffix


def _check_finite(ids: Sequence[str], embeddings: Embeddings) -> None:
    if embeddings.dense is not None and len(ids):
        is_finite = np.isfinite(embeddings.dense).all(axis=1)
        if not is_finite.all():
            text_id = ids[int(np.argmin(is_finite))]
            raise DataError(f"embeddings: the vector of `{text_id}` holds NaN or infinity")
    if embeddings.sparse is not None and not np.isfinite(embeddings.sparse.values).all():
        raise DataError("embeddings: token weights hold NaN or infinity")


def _write_npz(aside: Path, ids: Sequence[str], embeddings: Embeddings) -> None:
    arrays: dict[str, Any] = {
        "ids": np.array(ids, dtype=np.str_),
        "num_tokens": embeddings.num_tokens,
        "is_truncated": embeddings.is_truncated,
    }
    if embeddings.dense is not None:
        arrays["dense"] = embeddings.dense
    if embeddings.sparse is not None:
        arrays["sparse_indptr"] = embeddings.sparse.indptr
        arrays["sparse_indices"] = embeddings.sparse.indices
        arrays["sparse_values"] = embeddings.sparse.values
        arrays["vocab_size"] = np.int64(embeddings.sparse.vocab_size)
    with aside.open("wb") as stream:
        np.savez(stream, **arrays)


def _read_npz(path: Path) -> tuple[list[str], Embeddings]:
    # Opened here, as np.load leaves the file open when it is no archive.
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
        sparse = None
        if "sparse_indptr" in stored:
            sparse = SparseVectors(
                indptr=stored["sparse_indptr"],
                indices=stored["sparse_indices"],
                values=stored["sparse_values"],
                vocab_size=int(stored["vocab_size"]),
            )
        embeddings = Embeddings(
            dense=stored["dense"] if "dense" in stored else None,
            sparse=sparse,
            num_tokens=stored["num_tokens"],
            is_truncated=stored["is_truncated"],
        )
        return stored["ids"].tolist(), embeddings


def _write_parquet(
    aside: Path, ids: Sequence[str], embeddings: Embeddings, tokenizer: TokenDecoder | None
) -> None:
    parquet = import_parquet(aside)
    import pyarrow as pa

    columns: dict[str, Any] = {
        "id": pa.array(ids, pa.string()),
        "num_tokens": pa.array(embeddings.num_tokens, pa.int64()),
        "is_truncated": pa.array(embeddings.is_truncated, pa.bool_()),
    }
    metadata: dict[bytes, bytes] = {}
    if embeddings.dense is not None:
        flat = pa.array(np.ascontiguousarray(embeddings.dense).reshape(-1), pa.float32())
        columns["dense"] = pa.FixedSizeListArray.from_arrays(flat, embeddings.dense.shape[1])
    sparse = embeddings.sparse
    if sparse is not None:
        metadata[_VOCAB_SIZE] = str(sparse.vocab_size).encode()
        offsets = pa.array(sparse.indptr, pa.int64())
        columns["sparse_ids"] = _lists(pa, offsets, pa.array(sparse.indices, pa.int32()))
        columns["sparse_weights"] = _lists(pa, offsets, pa.array(sparse.values, pa.float32()))
        if tokenizer is not None:
            unique, inverse = np.unique(sparse.indices, return_inverse=True)
            names = np.array([tokenizer.decode([i]) for i in unique.tolist()], dtype=object)
            tokens = pa.array(names[inverse] if len(unique) else [], pa.string())
            columns["sparse_tokens"] = _lists(pa, offsets, tokens)
    table = pa.table(columns).replace_schema_metadata(metadata)
    parquet.write_table(table, aside, row_group_size=_PARQUET_ROWS)


def _lists(pa: Any, offsets: Any, values: Any) -> Any:
    return pa.LargeListArray.from_arrays(offsets, values).cast(pa.list_(values.type))


def _read_parquet(path: Path) -> tuple[list[str], Embeddings]:
    table = import_parquet(path).read_table(path)
    names = table.column_names
    dense = None
    if "dense" in names:
        width = table.schema.field("dense").type.list_size
        flat = table["dense"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        dense = flat.reshape(-1, width).astype(np.float32)
    sparse = None
    if "sparse_ids" in names:
        lists = table["sparse_ids"].to_pylist()
        weights = table["sparse_weights"].to_pylist()
        vocab_size = int((table.schema.metadata or {})[_VOCAB_SIZE])
        sparse = _sparse_from_lists(lists, weights, vocab_size)
    embeddings = Embeddings(
        dense=dense,
        sparse=sparse,
        num_tokens=np.array(table["num_tokens"].to_pylist(), dtype=np.int64),
        is_truncated=np.array(table["is_truncated"].to_pylist(), dtype=np.bool_),
    )
    return table["id"].to_pylist(), embeddings


def _write_jsonl(
    aside: Path, ids: Sequence[str], embeddings: Embeddings, tokenizer: TokenDecoder | None
) -> None:
    with aside.open("w", encoding="utf-8", newline="\n") as stream:
        for line in embedding_lines(ids, embeddings, tokenizer=tokenizer):
            stream.write(line + "\n")


def _read_jsonl(path: Path) -> tuple[list[str], Embeddings]:
    records = [parse_json(line, place(path, number)) for number, line in read_lines(path)]
    sparse = None
    if records and "sparse" in records[0]:
        rows = [record["sparse"] for record in records]
        lists, weights = [row["ids"] for row in rows], [row["weights"] for row in rows]
        sparse = _sparse_from_lists(lists, weights, int(rows[0]["vocab_size"]))
    dense = None
    if records and "dense" in records[0]:
        dense = np.array([record["dense"] for record in records], dtype=np.float32)
    embeddings = Embeddings(
        dense=dense,
        sparse=sparse,
        num_tokens=np.array([record["num_tokens"] for record in records], dtype=np.int64),
        is_truncated=np.array([record["is_truncated"] for record in records], dtype=np.bool_),
    )
    return [record["id"] for record in records], embeddings


def _sparse_from_lists(
    ids: list[list[int]], weights: list[list[float]], vocab_size: int
) -> SparseVectors:
    indptr = np.cumsum([0, *map(len, ids)], dtype=np.int64)
    return SparseVectors(
        indptr=indptr,
        indices=np.array([i for row in ids for i in row], dtype=np.int32),
        values=np.array([w for row in weights for w in row], dtype=np.float32),
        vocab_size=vocab_size,
    )
