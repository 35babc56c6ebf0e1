"""BodyEncoder: bare token ids of texts, without special tokens; long texts are cut first."""

import threading
from collections.abc import Callable, Sequence

import tokenizers

from mgte.errors import DataError
from mgte.text.checks import find_surrogate, surrogate_error
from mgte.text.cutting import CutRules, build_cut_rules, find_cut, find_window, squeeze
from mgte.text.parallelism import prepare_for_forks

# Text that is tokenised for one wanted token: English needs 4 to 5 characters, Chinese 1 to 2.
# Too little costs a second round, too much costs tokens that are thrown away.
_CHARACTERS_PER_TOKEN_ASCII = 6
_CHARACTERS_PER_TOKEN = 4
# Shorter texts are never cut.
_MIN_CUT_CHARACTERS = 256
_GROWTH = 4


class BodyEncoder:
    """Encodes texts without special tokens; safe to use from several threads.

    Args:
        backend: Tokenizer without truncation and padding, which is not changed any more.
    """

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        self._backend = backend
        self._rules: CutRules | None = None
        self._has_rules = False
        self._lock = threading.Lock()

    def encode(
        self, texts: Sequence[str], room: int | None, place: Callable[[int], str]
    ) -> list[list[int]]:
        """Ids of each text: all of them, or its first ones, which are then more than `room`.

        Args:
            texts: Texts.
            room: Tokens that will be kept; None keeps all.
            place: Name of a text, for the message.

        Returns:
            Ids per text. Its first `room` ids are those of the whole text, and there are more
            than `room` of them exactly if the whole text has more.

        Raises:
            DataError: A text holds a lone surrogate.
        """
        if room is None:
            return self._encode_whole(texts, texts, place)
        threshold = max(_MIN_CUT_CHARACTERS, _CHARACTERS_PER_TOKEN * (room + 1))
        sizes = {
            index: _first_size(text, room)
            for index, text in enumerate(texts)
            if len(text) > threshold
        }
        rules = self._find_rules() if sizes else None
        if rules is None:
            return self._encode_whole(texts, texts, place)
        for index in sizes:
            _refuse_surrogates(texts[index], place(index))
        rows: list[list[int]] = [[]] * len(texts)
        pending = list(range(len(texts)))
        while pending:
            pieces = []
            for index in pending:
                text, size = texts[index], sizes.get(index, len(texts[index]))
                cut = find_cut(text, size, rules) if size < len(text) else len(text)
                pieces.append(text[: cut or 0])
            encoded = self._encode_whole(pieces, [texts[index] for index in pending], place)
            short = []
            for index, piece, row in zip(pending, pieces, encoded, strict=True):
                rows[index] = row
                if len(row) > room or len(piece) == len(texts[index]):
                    continue
                if piece:  # more of the same, again for all texts in one call
                    sizes[index] *= _GROWTH
                    short.append(index)
                else:
                    rows[index] = self._encode_long(
                        texts[index], room, sizes[index], rules, place(index)
                    )
            pending = short
        return rows

    def count(self, text: str) -> int:
        """Tokens of a whole text."""
        return len(self._encode_whole([text], [text], lambda index: "text")[0])

    def _encode_long(
        self, text: str, room: int, size: int, rules: CutRules, place: str
    ) -> list[int]:
        """Ids of a prefix with more than `room` tokens, or of the whole text if it has no more."""
        is_squeezed = not rules.squeezes
        while size < len(text):
            cut = find_cut(text, size, rules)
            if cut is not None:
                row = self._encode_one(text[:cut], place)
            elif positions := find_window(text, size, rules):
                row = self._encode_agreed(text, positions, room, place)
            else:
                row = []
                if not is_squeezed:
                    is_squeezed = True
                    squeezed = squeeze(text)
                    if len(squeezed) < len(text):
                        text = squeezed
                        continue
            if len(row) > room:
                return row
            size *= _GROWTH
        return self._encode_one(text, place)

    def _encode_agreed(self, text: str, positions: list[int], room: int, place: str) -> list[int]:
        """Ids that the prefixes cut at all positions begin with; empty if they do not agree."""
        prefixes = [text[:position] for position in positions]
        rows = self._encode_whole(prefixes, prefixes, lambda index: place)
        kept = rows[0][:room]
        if all(len(row) > room and row[:room] == kept for row in rows):
            return rows[0]
        return []

    def _encode_one(self, text: str, place: str) -> list[int]:
        return self._encode_whole([text], [text], lambda index: place)[0]

    def _encode_whole(
        self, pieces: Sequence[str], texts: Sequence[str], place: Callable[[int], str]
    ) -> list[list[int]]:
        prepare_for_forks()
        try:
            encodings = self._backend.encode_batch_fast(list(pieces), add_special_tokens=False)
        except TypeError:
            for index, text in enumerate(texts):
                position = find_surrogate(text)
                if position is not None:
                    raise surrogate_error(place(index), text, position) from None
            raise
        except Exception as error:
            # For example a Unigram vocabulary without an unknown token.
            raise DataError(f"{place(0)}: cannot be tokenised ({error})") from error
        return [encoding.ids for encoding in encodings]

    def _find_rules(self) -> CutRules | None:
        """Where texts may be cut; worked out when the first long text comes."""
        with self._lock:
            if not self._has_rules:
                self._rules = build_cut_rules(self._backend)
                self._has_rules = True
            return self._rules


def _refuse_surrogates(text: str, place: str) -> None:
    """Check a text of which only the beginning may be tokenised."""
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise surrogate_error(place, text, error.start) from None


def _first_size(text: str, room: int) -> int:
    """Characters that very likely hold more than `room` tokens."""
    is_ascii = text[:_MIN_CUT_CHARACTERS].isascii()
    per_token = _CHARACTERS_PER_TOKEN_ASCII if is_ascii else _CHARACTERS_PER_TOKEN
    return max(_MIN_CUT_CHARACTERS, per_token * (room + 1))
