"""Near duplicates: MinHash signatures of character shingles, found again by banding (LSH)."""

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgte.data.hashing import normalize_text
from mgte.data.scripts import count_unspaced
from mgte.errors import BackendUnavailableError, ConfigError

_NUM_PERMUTATIONS = 128
_SEED = 1
# Shingles hold about a word: five letters of an alphabet, three of a script without spaces.
_SHINGLE, _SHINGLE_UNSPACED = 5, 3
# Candidates are checked, so the bands may offer too many but should miss few.
_WEIGHTS = (0.2, 0.8)
_MIX, _HALF, _LOW = np.uint64(0x9E3779B97F4A7C15), np.uint64(32), np.uint64(0xFFFFFFFF)


class NearDuplicates:
    """Remembers texts and recognises those that are nearly one of them.

    Holds a signature of 512 bytes and its bands per text, a few kilobytes in all, however long the
    texts are. Deterministic: the permutations are seeded.

    Args:
        threshold: Estimated Jaccard similarity from which on two texts are near duplicates.

    Raises:
        ConfigError: The threshold is not between 0 and 1.
        BackendUnavailableError: The package datasketch is absent.
    """

    def __init__(self, threshold: float) -> None:
        if not 0 < threshold <= 1:
            raise ConfigError(
                f"near_duplicates: got {threshold}, expected a number above 0 and at most 1"
            )
        self._threshold = threshold
        self._library = _import_datasketch()
        self._empty = self._library.MinHash(
            num_perm=_NUM_PERMUTATIONS, seed=_SEED, hashfunc=int, scheme="affine32"
        )
        self._bands = self._library.MinHashLSH(
            threshold=threshold, num_perm=_NUM_PERMUTATIONS, weights=_WEIGHTS
        )
        self._signatures: list[NDArray[np.uint32]] = []

    def add(self, text: str) -> bool:
        """Remember a text, unless it is nearly one that is remembered.

        Args:
            text: Any text.

        Returns:
            Whether it was new.
        """
        minhash = self._empty.copy()
        minhash.update_batch(_shingle_hashes(text))
        signature = minhash.hashvalues
        for number in self._bands.query(minhash):
            similarity = float(np.mean(self._signatures[number] == signature))
            if similarity >= self._threshold:
                return False
        self._bands.insert(len(self._signatures), minhash, check_duplication=False)
        self._signatures.append(signature)
        return True


def _shingle_hashes(text: str) -> list[int]:
    """32-bit hashes of the overlapping pieces of a text; of the whole text if it is short."""
    text = normalize_text(text)
    is_mostly_unspaced = 2 * count_unspaced(text) > len(text)
    width = _SHINGLE_UNSPACED if is_mostly_unspaced else _SHINGLE
    letters = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    num_shingles = max(1, len(letters) - width + 1)
    hashes = np.zeros(num_shingles, dtype=np.uint64)
    for offset in range(min(width, len(letters))):
        hashes = hashes * _MIX + letters[offset : offset + num_shingles]
    hashes = (hashes ^ (hashes >> _HALF)) & _LOW
    found: list[int] = np.unique(hashes).tolist()
    return found


def _import_datasketch() -> Any:
    try:
        return importlib.import_module("datasketch")
    except ImportError as error:
        raise BackendUnavailableError(
            "near_duplicates: needs the package datasketch", hint="pip install 'mgte[train]'"
        ) from error
