"""Turns cleaned rows of each kind into what is stored: tokens, text columns, teacher's vectors."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mgte.data.batches import FloatArray
from mgte.data.config import DatasetKind
from mgte.data.hashing import exact_hash
from mgte.data.raw_rows import RawRow
from mgte.data.row_shards import RowShardWriter, row_schema
from mgte.data.source_files import row_number
from mgte.data.token_shards import TokenShardWriter
from mgte.errors import DataError
from mgte.text import Tokenizer

EncodeVectors = Callable[[list[str]], FloatArray]


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredRows:
    """What a writer has written.

    Attributes:
        files: Names of its files.
        num_tokens: Tokens of texts; 0 for other kinds.
        vector_dim: Width of vectors; 0 for other kinds.
    """

    files: list[str]
    num_tokens: int = 0
    vector_dim: int = 0


class KindWriter(Protocol):
    """Stores rows of one kind."""

    def write(self, rows: Sequence[RawRow]) -> list[bool]:
        """Store rows in their order; tells of each whether it was stored."""
        ...

    def finish(self) -> StoredRows:
        """Write what is left."""
        ...

    def close(self) -> None:
        """Let go of open files; also after an error."""
        ...


class TextWriter:
    """Texts as token shards. A text without a single token is not stored.

    Args:
        folder: Folder to write in.
        tokenizer: Tokenizer.
        shard_bytes: Size of a token file.
        sources: Number of each source.
        languages: Number of each language; those of the rows are in it when they are written.
        files: Number of each input file.
    """

    def __init__(
        self,
        folder: Path,
        tokenizer: Tokenizer,
        shard_bytes: int,
        *,
        sources: Mapping[str, int],
        languages: Mapping[str, int],
        files: Mapping[str, int],
    ) -> None:
        self._tokenizer = tokenizer
        self._shards = TokenShardWriter(folder, shard_bytes=shard_bytes)
        self._sources = sources
        self._languages = languages
        self._files = files
        self._num_tokens = 0

    def write(self, rows: Sequence[RawRow]) -> list[bool]:
        """Store rows in their order; tells of each whether it has tokens."""
        encoded = self._tokenizer.encode_bare([row.documents[0] for row in rows])
        for row, tokens in zip(rows, encoded, strict=True):
            if not len(tokens):
                continue
            self._num_tokens += len(tokens)
            self._shards.add(
                tokens,
                source=self._sources[row.source],
                language=self._languages[row.language],
                file=self._files[row.file],
                file_row=row_number(row.file, row.place),
            )
        return [len(tokens) > 0 for tokens in encoded]

    def finish(self) -> StoredRows:
        """Write what is left."""
        return StoredRows(files=self._shards.finish(), num_tokens=self._num_tokens)

    def close(self) -> None:
        """Nothing is held open."""


class RowWriter:
    """Pairs and groups as Parquet.

    Args:
        folder: Folder to write in.
        kind: "pairs" or "groups".
        tokenizer: Counts tokens.
    """

    def __init__(self, folder: Path, kind: DatasetKind, tokenizer: Tokenizer) -> None:
        self._kind = kind
        self._tokenizer = tokenizer
        self._shards = RowShardWriter(folder, row_schema(kind))

    def write(self, rows: Sequence[RawRow]) -> list[bool]:
        """Store rows in their order; all are stored."""
        query_lengths = count_tokens(self._tokenizer, [row.query for row in rows])
        documents = [text for row in rows for text in (*row.documents, *row.negatives)]
        lengths = iter(count_tokens(self._tokenizer, documents))
        for row, query_length in zip(rows, query_lengths, strict=True):
            num_documents = len(row.documents) + len(row.negatives)
            length = max(next(lengths) for _ in range(num_documents))
            self._shards.add(
                query=row.query,
                document=row.documents[0],
                positives=row.documents,
                negatives=row.negatives,
                positive_scores=row.positive_scores,
                negative_scores=row.negative_scores,
                source=row.source,
                language=row.language,
                place=row.place,
                query_length=query_length,
                length=length,
            )
        return [True] * len(rows)

    def finish(self) -> StoredRows:
        """Write what is left."""
        return StoredRows(files=self._shards.finish())

    def close(self) -> None:
        """Let go of open files; also after an error."""
        self._shards.close()


class VectorWriter:
    """Texts with a teacher's vectors as Parquet. Each text that the teacher reads is encoded once.

    Args:
        folder: Folder to write in.
        tokenizer: Counts tokens.
        encode_vectors: The teacher: texts to vectors [texts, dim].
    """

    def __init__(self, folder: Path, tokenizer: Tokenizer, encode_vectors: EncodeVectors) -> None:
        self._folder = folder
        self._tokenizer = tokenizer
        self._encode = encode_vectors
        self._shards: RowShardWriter | None = None
        self._numbers: dict[int, int] = {}
        # Vectors may outgrow the memory; the texts' hashes do not.
        self._vectors = tempfile.TemporaryFile(dir=folder)
        self._dim = 0

    def write(self, rows: Sequence[RawRow]) -> list[bool]:
        """Store rows in their order; all are stored."""
        teacher_texts = [row.teacher_text or row.documents[0] for row in rows]
        hashes = [exact_hash(text) for text in teacher_texts]
        new = {
            text_hash: text
            for text_hash, text in zip(hashes, teacher_texts, strict=True)
            if text_hash not in self._numbers
        }
        if new:
            self._append(list(new.values()))
            self._numbers.update(zip(new, count(len(self._numbers)), strict=False))
        if self._shards is None:
            self._shards = RowShardWriter(self._folder, row_schema("vectors", self._dim))
        lengths = count_tokens(self._tokenizer, [row.documents[0] for row in rows])
        for row, text_hash, length in zip(rows, hashes, lengths, strict=True):
            self._shards.add(
                text=row.documents[0],
                vector=self._stored(self._numbers[text_hash]),
                source=row.source,
                language=row.language,
                place=row.place,
                query_length=0,
                length=length,
            )
        return [True] * len(rows)

    def finish(self) -> StoredRows:
        """Write what is left."""
        files = [] if self._shards is None else self._shards.finish()
        return StoredRows(files=files, vector_dim=self._dim)

    def close(self) -> None:
        """Let go of open files; also after an error."""
        self._vectors.close()
        if self._shards is not None:
            self._shards.close()

    def _append(self, texts: list[str]) -> None:
        vectors = np.asarray(self._encode(texts))
        if (
            vectors.ndim != 2
            or len(vectors) != len(texts)
            or self._dim not in (0, vectors.shape[1])
        ):
            raise DataError(
                f"teacher: gave an array of shape {vectors.shape}, expected {len(texts)} vectors "
                "of one width"
            )
        self._dim = vectors.shape[1]
        with np.errstate(over="ignore"):
            stored = vectors.astype(np.float16)
        is_bad = ~np.isfinite(stored).all(axis=1)
        if is_bad.any():
            raise DataError(
                f"teacher: the vector of {texts[int(is_bad.argmax())][:60]!r} holds values that "
                "are not finite in float16, expected a normalised vector"
            )
        self._vectors.seek(0, 2)
        self._vectors.write(stored.tobytes())

    def _stored(self, number: int) -> NDArray[np.float16]:
        num_bytes = 2 * self._dim
        self._vectors.seek(number * num_bytes)
        return np.frombuffer(self._vectors.read(num_bytes), dtype=np.float16)


def count_tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> list[int]:
    """Tokens of each text without special tokens; equal texts are tokenised once."""
    unique = list(dict.fromkeys(texts))
    encoded = tokenizer.encode_bare(unique)
    lengths = {text: len(tokens) for text, tokens in zip(unique, encoded, strict=True)}
    return [lengths[text] for text in texts]
