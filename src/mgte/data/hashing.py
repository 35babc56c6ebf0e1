"""Hashes of texts: equal for texts that differ in case, width of letters or spaces only.

The same 64 bits serve everywhere: duplicates and leaks in preparation, false negatives in batches.
"""

import hashlib
import struct
import unicodedata
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

_HASH_BYTES = 8


def normalize_text(text: str) -> str:
    """The text in lower case, compatibility letters replaced, runs of whitespace as one space.

    Args:
        text: Any text.

    Returns:
        What is compared when two texts are asked to be "the same".
    """
    folded = text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.split())


def text_hash(text: str) -> int:
    """64-bit hash of a text after `normalize_text`, as a signed integer.

    It is the same on every machine and in every process. Of a billion texts, two different ones
    share a hash with a chance of about 3 %.

    Args:
        text: Any text without lone surrogates.

    Returns:
        The hash.
    """
    return _hash_bytes(normalize_text(text).encode())


def text_hashes(texts: Iterable[str]) -> NDArray[np.int64]:
    """`text_hash` of several texts.

    Args:
        texts: Texts.

    Returns:
        One hash per text.
    """
    return np.array([text_hash(text) for text in texts], dtype=np.int64)


def exact_hash(text: str) -> int:
    """64-bit hash of a text as it stands: equal for equal texts only.

    Args:
        text: Any text without lone surrogates.

    Returns:
        The hash.
    """
    return _hash_bytes(text.encode())


def combined_hash(hashes: Iterable[int]) -> int:
    """One hash of several in their order: of a (query, document) pair, for example.

    Args:
        hashes: Hashes as `text_hash` gives them.

    Returns:
        The hash.
    """
    values = list(hashes)
    return _hash_bytes(struct.pack(f"<{len(values)}q", *values))


def _hash_bytes(content: bytes) -> int:
    digest = hashlib.blake2b(content, digest_size=_HASH_BYTES).digest()
    return int.from_bytes(digest, "little", signed=True)
