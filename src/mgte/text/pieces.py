"""vocabulary_pieces: what each entry of a tokenizer's vocabulary stands for, as plain text."""

import json
import re
from dataclasses import dataclass

from mgte.errors import ConfigError
from mgte.text.tokenizer import Tokenizer

_WORD_START, _CONTINUES = "▁", "##"
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_UNUSED = re.compile(r"\[unused\d+\]|<unused\d+>|\|\|\|.*")


@dataclass(frozen=True, slots=True)
class Piece:
    """An entry of a vocabulary.

    Attributes:
        text: What it stands for; empty for a byte that is no character.
        starts_word: Whether it stands at the start of a word, else within one.
        is_special: Whether it stands for no text: special tokens, bytes, unused entries.
    """

    text: str
    starts_word: bool
    is_special: bool


def vocabulary_pieces(tokenizer: Tokenizer) -> list[Piece]:
    """All entries of a vocabulary, by id.

    Args:
        tokenizer: Of kind WordPiece, Unigram or BPE (on bytes, or on characters with "▁").

    Returns:
        One piece per id.

    Raises:
        ConfigError: The tokenizer is of another kind.
    """
    described = tokenizer.describe()
    kind = described["model"]["type"]
    if kind not in ("WordPiece", "Unigram", "BPE"):
        raise ConfigError(f"tokenizer: is of kind {kind}, expected WordPiece, Unigram or BPE")
    added = {entry["id"] for entry in described["added_tokens"] if entry["special"]}
    special = tokenizer.special_ids | added
    on_bytes = kind == "BPE" and "ByteLevel" in json.dumps(
        [described["pre_tokenizer"], described["decoder"]]
    )
    pieces = []
    for token_id in range(tokenizer.vocab_size):
        token = tokenizer.token(token_id)
        if token_id in special or _BYTE.fullmatch(token) or _UNUSED.fullmatch(token):
            pieces.append(Piece(token, starts_word=True, is_special=True))
        elif kind == "WordPiece":
            is_start = not token.startswith(_CONTINUES)
            text = token if is_start else token.removeprefix(_CONTINUES)
            pieces.append(Piece(text, starts_word=is_start, is_special=False))
        elif on_bytes:
            text = _decoded(token)
            pieces.append(Piece(text.strip(" "), text.startswith(" "), is_special=not text))
        else:
            text = token.replace(_WORD_START, " ")
            pieces.append(Piece(text.strip(" "), text.startswith(" "), is_special=False))
    return pieces


def _byte_letters() -> dict[str, int]:
    """Which letter stands for which byte in byte-level BPE: printable ones for themselves.

    Source: GPT-2's encoder; the others get the letters from U+0100 on, in order.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters = {chr(byte): byte for byte in printable}
    hidden = [byte for byte in range(256) if byte not in set(printable)]
    return letters | {chr(0x100 + place): byte for place, byte in enumerate(hidden)}


_LETTERS = _byte_letters()


def _decoded(token: str) -> str:
    """Text of a byte-level entry; empty if it cuts through a character."""
    if any(letter not in _LETTERS for letter in token):
        return token
    try:
        return bytes(_LETTERS[letter] for letter in token).decode("utf-8")
    except UnicodeDecodeError:
        return ""
