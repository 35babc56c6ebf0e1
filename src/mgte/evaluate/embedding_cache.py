"""CachedEncoder: vectors that were computed once are read from disk afterwards.

Chunks of vectors lie in one folder per model fingerprint and kind of request, each written whole
under a name that its content gives. So a crash leaves whole chunks only, any number of processes
may read and write at once, and a text is found by its hash whatever task asks for it.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from mgte.evaluate.subjects.subject import Role, TextEncoder
from mgte.evaluate.subjects.wrapped import WrappedEncoder
from mgte.text import replace_file
from mgte.vectors import Embeddings, SparseVectors

_KEY_BYTES = 16
# What another process is writing has a name that starts with a dot.
_CHUNKS = "[!.]*.safetensors"
_TEXTS_PER_CHUNK = 4096
_CHARACTERS_PER_CHUNK = 4_000_000
_FIRST_CHARACTERS = 200_000
_LEAST_CHARACTERS = 20_000
_SECONDS_PER_CHUNK = 30.0
_FINGERPRINT_DIGITS = 24
_logger = logging.getLogger(__name__)

Tensors = dict[str, NDArray[Any]]


class CachedEncoder(WrappedEncoder):
    """A text encoder that keeps vectors on disk.

    A text that was embedded before, in the same role and with the same fingerprint of the model,
    gets the very bytes that it got then, and what was truncated is told again.

    Args:
        encoder: Embeds what is not there yet.
        folder: Where vectors are kept; made when the first ones are.

    Attributes:
        encoder: What it was given.
        num_found: Texts that were read so far.
        num_computed: Texts that were embedded so far.
    """

    def __init__(self, encoder: TextEncoder, folder: Path) -> None:
        super().__init__(encoder)
        self._folder = folder / encoder.fingerprint[:_FINGERPRINT_DIGITS]
        self._shelves: dict[str, _Shelf] = {}
        self._budget = _Budget()
        self.num_found = 0
        self.num_computed = 0

    @property
    def num_bytes(self) -> int:
        """Size of what is kept for this model."""
        return sum(file.stat().st_size for file in self._folder.rglob(_CHUNKS))

    def encode(self, texts: Sequence[str], *, role: Role, sparse: bool = False) -> Embeddings:
        """Embed texts, as far as they were not embedded before; see `TextEncoder.encode`.

        Args:
            texts: Texts.
            role: What they are.
            sparse: Whether sparse token weights are wanted too.

        Returns:
            Vectors in the order of the texts.

        Raises:
            DataError: The model gives NaN or infinity; such vectors are not kept.
            OSError: The disk is full, or the folder cannot be written.
        """
        if not texts:
            return self.encoder.encode(texts, role=role, sparse=sparse)
        # A model without dense vectors gives the same, whatever it is asked for.
        sparse = sparse or not self.has_dense
        shelf = self._shelf(f"{role}-sparse" if sparse else role)
        text_of_key = {_key(text): text for text in texts}
        missing = {key: text for key, text in text_of_key.items() if key not in shelf.places}
        for keys, chunk in _chunks(missing, self._budget):
            began = time.perf_counter()
            shelf.add(keys, self.encoder.encode(chunk, role=role, sparse=sparse))
            self._budget.learn(sum(map(len, chunk)), time.perf_counter() - began)
        self.num_found += len(text_of_key) - len(missing)
        self.num_computed += len(missing)
        return shelf.take([_key(text) for text in texts])

    def _shelf(self, name: str) -> "_Shelf":
        if name not in self._shelves:
            self._shelves[name] = _Shelf(self._folder / name)
        return self._shelves[name]


@dataclass(slots=True)
class _Budget:
    """Characters per chunk: what takes about half a minute, so that a kill costs no more."""

    characters: float = _FIRST_CHARACTERS

    def learn(self, characters: int, seconds: float) -> None:
        """Take over how fast the last chunk was."""
        wanted = characters / max(seconds, 1e-3) * _SECONDS_PER_CHUNK
        # Short chunks say little of speed: the first calls of a model are slow.
        wanted = min(wanted, 4 * self.characters)
        self.characters = min(max(wanted, _LEAST_CHARACTERS), _CHARACTERS_PER_CHUNK)


class _Shelf:
    """The chunks of one kind of request.

    Args:
        folder: Where they lie.

    Attributes:
        places: Key of a text to its chunk and row.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.places: dict[bytes, tuple[Path, int]] = {}
        for file in sorted(folder.glob(_CHUNKS)):
            try:
                with safe_open(file, framework="np") as chunk:
                    keys = chunk.get_tensor("keys")
            except (SafetensorError, OSError) as error:
                _logger.warning(
                    "%s: cannot be read (%s); its texts are embedded again", file, error
                )
                continue
            self._name(keys, file)

    def add(self, keys: Sequence[bytes], embeddings: Embeddings) -> None:
        """Keep vectors."""
        rows = np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(len(keys), _KEY_BYTES)
        tensors: Tensors = {
            "keys": rows,
            "num_tokens": np.asarray(embeddings.num_tokens, dtype=np.int64),
            "num_dropped": embeddings.num_tokens_dropped,
            "is_truncated": embeddings.is_truncated,
        }
        if embeddings.dense is not None:
            tensors["dense"] = embeddings.dense
        if embeddings.sparse is not None:
            tensors |= {
                "indptr": embeddings.sparse.indptr,
                "indices": embeddings.sparse.indices,
                "values": embeddings.sparse.values,
                "vocab_size": np.array([embeddings.sparse.vocab_size], dtype=np.int64),
            }
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / f"{sha256(rows.tobytes()).hexdigest()[:32]}.safetensors"
        whole = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
        replace_file(file, lambda aside: save_file(whole, aside))
        self._name(rows, file)

    def take(self, keys: Sequence[bytes]) -> Embeddings:
        """Vectors by key, all of which are there."""
        files = list(dict.fromkeys(self.places[key][0] for key in keys))
        parts = [_read(file) for file in files]
        starts = np.cumsum([0, *(len(part) for part in parts)])
        start_of = dict(zip(files, starts.tolist(), strict=False))
        rows = np.array([start_of[self.places[key][0]] + self.places[key][1] for key in keys])
        dense = [part.dense for part in parts if part.dense is not None]
        sparse = [part.sparse for part in parts if part.sparse is not None]
        dropped = np.concatenate([part.num_tokens_dropped for part in parts])[rows]
        return Embeddings(
            dense=np.concatenate(dense)[rows] if dense else None,
            sparse=(
                SparseVectors.concatenate(sparse, sparse[0].vocab_size).take(rows.tolist())
                if sparse
                else None
            ),
            num_tokens=np.concatenate([part.num_tokens for part in parts])[rows],
            is_truncated=np.concatenate([part.is_truncated for part in parts])[rows],
            count_dropped=lambda index: int(dropped[index]),
        )

    def _name(self, keys: NDArray[np.uint8], file: Path) -> None:
        for row, key in enumerate(keys):
            self.places[key.tobytes()] = (file, row)


def _read(file: Path) -> Embeddings:
    with safe_open(file, framework="np") as chunk:
        tensors = {name: chunk.get_tensor(name) for name in chunk.keys()}
    dropped = tensors["num_dropped"]
    return Embeddings(
        dense=tensors.get("dense"),
        sparse=_sparse_of(tensors),
        num_tokens=tensors["num_tokens"],
        is_truncated=tensors["is_truncated"],
        count_dropped=lambda index: int(dropped[index]),
    )


def _sparse_of(tensors: Tensors) -> SparseVectors | None:
    if "indptr" not in tensors:
        return None
    return SparseVectors(
        indptr=tensors["indptr"],
        indices=tensors["indices"],
        values=tensors["values"],
        vocab_size=int(tensors["vocab_size"][0]),
    )


def _chunks(texts: Mapping[bytes, str], budget: _Budget) -> Iterator[tuple[list[bytes], list[str]]]:
    """Texts in portions, so that an interruption costs one portion at most."""
    keys: list[bytes] = []
    chunk: list[str] = []
    size = 0
    for key, text in texts.items():
        keys.append(key)
        chunk.append(text)
        size += len(text)
        if len(chunk) == _TEXTS_PER_CHUNK or size >= budget.characters:
            yield keys, chunk
            keys, chunk, size = [], [], 0
    if chunk:
        yield keys, chunk


def _key(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()[:_KEY_BYTES]
