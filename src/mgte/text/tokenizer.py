"""Tokenizer: texts or pairs of texts to token ids, as Hugging Face gives them, fast on long input.

1. Check the texts, cut what is far too long where that changes nothing (`cutting`).
2. Tokenise everything bare in one parallel call; equal texts of pairs once.
3. Truncate and put the special tokens around (`special_tokens.Frame`).
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mgte.errors import ConfigError, DataError
from mgte.text.bodies import BodyEncoder
from mgte.text.checks import check_texts
from mgte.text.special_tokens import Frame, find_role_ids, probe_frames
from mgte.text.tokenized import TokenizedTexts, longest_first
from mgte.text.tokenizer_files import (
    TokenizerFiles,
    append_eos,
    read_tokenizer_files,
    write_tokenizer_files,
)

Overflow = Literal["truncate", "error"]

# transformers writes 10**30 for "no limit".
_NO_LIMIT = 10**9


class Tokenizer:
    """Texts to token ids; immutable after loading, so several threads may use one.

    `Tokenizer.load` is the usual way to make one.

    Args:
        files: Tokenizer and settings, as `read_tokenizer_files` returns them.
        place: Folder, for error messages.
        max_length: Tokens per text or pair; None takes what the settings say.
        lowercase: Whether texts are lowercased first.

    Attributes:
        max_length: Tokens per text or pair where a call names no other; None for no limit.
        role_ids: Ids of the special tokens by role: cls, sep, bos, eos, pad, unk.
    """

    def __init__(
        self, files: TokenizerFiles, *, place: str, max_length: int | None, lowercase: bool = False
    ) -> None:
        self._backend = files.backend
        self._serialized = files.serialized
        self._config = files.config
        self._lowercase = lowercase
        self.role_ids = find_role_ids(files.backend, files.config)
        self._single, self._pair = probe_frames(files.backend, place)
        eos_id = self.role_ids.get("eos")
        if (
            files.config.get("add_eos_token") is True
            and eos_id is not None
            and self._single.end[-1:] != (eos_id,)
        ):
            append_eos(files.backend, self._single.start, eos_id)
            self._serialized = files.backend.to_str().encode()
            self._single, self._pair = probe_frames(files.backend, place)
        stored = files.config.get("model_max_length")
        if max_length is None and isinstance(stored, int) and stored < _NO_LIMIT:
            max_length = stored
        self.max_length = max_length
        fallback = self.role_ids.get("eos", 0)
        self._pad_id = self.role_ids.get("pad", fallback)
        if "pad" not in self.role_ids and files.padding_id is not None:
            self._pad_id = files.padding_id
        self._bodies = BodyEncoder(files.backend)

    @classmethod
    def load(
        cls, folder: Path, *, max_length: int | None = None, lowercase: bool = False
    ) -> "Tokenizer":
        """Load the tokenizer of a model folder.

        Args:
            folder: Folder with tokenizer.json (or a BERT vocab.txt) and its settings.
            max_length: Tokens per text or pair; None takes `model_max_length` of the settings.
            lowercase: `do_lower_case` of sentence-transformers: lowercase texts first.

        Returns:
            The tokenizer.

        Raises:
            CheckpointError: There is no tokenizer, or a file of it is damaged.
        """
        folder = Path(folder)
        files = read_tokenizer_files(folder)
        return cls(files, place=str(folder), max_length=max_length, lowercase=lowercase)

    def save(self, folder: Path) -> None:
        """Write tokenizer.json and tokenizer_config.json as transformers reads them.

        Args:
            folder: Folder; made if absent.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        config = dict(self._config)
        if self.max_length is not None:
            config["model_max_length"] = self.max_length
        has_types = self._pair is not None and self._pair.has_types
        write_tokenizer_files(folder, self._serialized, config, has_types=has_types)

    def encode(
        self,
        texts: str | Iterable[str],
        *,
        max_length: int | None = None,
        overflow: Overflow = "truncate",
        prefix: str = "",
    ) -> TokenizedTexts:
        """Token ids of texts.

        An empty text is its special tokens. Where a tokenizer puts none around a text, a text
        without tokens becomes one end-of-text (else padding) token, as no model reads nothing.

        Args:
            texts: Texts; a single string is one text.
            max_length: Tokens per text, special tokens included; None takes that of the tokenizer.
            overflow: What happens to a longer text: its end is dropped, or an error.
            prefix: Prompt before every text.

        Returns:
            Ids in input order.

        Raises:
            DataError: Something is no valid text, or too long under `overflow="error"`.
            ConfigError: `max_length` leaves no room for the special tokens.
        """
        items = check_texts(texts, "texts")
        bare = self._prepare(items, check_texts(prefix, "prefix")[0])
        room = self._room(self._single, max_length, overflow)
        bodies = self._bodies.encode(bare, room, lambda index: f"texts[{index}]")
        frame = self._single

        def count_dropped(index: int) -> int:
            return 0 if room is None else max(0, self._bodies.count(bare[index]) - room)

        lengths = np.fromiter(map(len, bodies), dtype=np.int64, count=len(bodies))
        is_truncated = np.zeros(len(bodies), bool) if room is None else lengths > room
        if overflow == "error":
            _refuse_first(is_truncated, "texts", frame, room, count_dropped)
        start, end = list(frame.start), list(frame.end)
        ids = [np.array(start + body[:room] + end, dtype=np.int32) for body in bodies]
        types = None
        if frame.has_types:
            kept = lengths if room is None else np.minimum(lengths, room)
            types = [np.array(frame.type_ids(int(n)), dtype=np.int32) for n in kept]
        self._fill_empty(ids, types, "texts")
        return TokenizedTexts(
            ids=ids, token_type_ids=types, is_truncated=is_truncated, count_dropped=count_dropped
        )

    def encode_pairs(
        self,
        queries: str | Iterable[str],
        documents: str | Iterable[str],
        *,
        max_length: int | None = None,
        overflow: Overflow = "truncate",
    ) -> TokenizedTexts:
        """Token ids of (query, document) pairs in one sequence each, as rerankers read them.

        A text that stands in several pairs is tokenised once. Of a pair that is too long, tokens
        are dropped from the longer text first, as transformers does (`longest_first`).

        Args:
            queries: First texts.
            documents: Second texts, as many.
            max_length: Tokens per pair, special tokens included; None takes that of the tokenizer.
            overflow: What happens to a longer pair: ends are dropped, or an error.

        Returns:
            Ids in input order.

        Raises:
            DataError: Something is no valid text, the counts differ, or a pair is too long under
                `overflow="error"`.
            ConfigError: `max_length` leaves no room for the special tokens, or the tokenizer has
                no frame for pairs.
        """
        first = self._prepare(check_texts(queries, "queries"), "")
        second = self._prepare(check_texts(documents, "documents"), "")
        if len(first) != len(second):
            raise DataError(
                f"pairs: got {len(first):,} queries and {len(second):,} documents, expected as many"
            )
        frame = self._pair
        if frame is None:
            raise ConfigError("tokenizer: puts the second text first, expected query then document")
        room = self._room(frame, max_length, overflow)
        places = {text: f"documents[{index}]" for index, text in reversed([*enumerate(second)])}
        places.update((text, f"queries[{index}]") for index, text in reversed([*enumerate(first)]))
        unique = list(places)
        encoded = self._bodies.encode(unique, room, lambda index: places[unique[index]])
        by_text = dict(zip(unique, encoded, strict=True))

        def count_dropped(index: int) -> int:
            whole = self._bodies.count(first[index]) + self._bodies.count(second[index])
            return 0 if room is None else max(0, whole - room)

        start, middle, end = list(frame.start), list(frame.middle), list(frame.end)
        ids: list[NDArray[np.int32]] = []
        types: list[NDArray[np.int32]] | None = [] if frame.has_types else None
        is_truncated = np.zeros(len(first), dtype=np.bool_)
        for index, (query, document) in enumerate(zip(first, second, strict=True)):
            a, b = by_text[query], by_text[document]
            num_a, num_b = len(a), len(b)
            if room is not None and num_a + num_b > room:
                is_truncated[index] = True
                if room % 2 and min(num_a, num_b) > room:
                    # The longer text gets the odd token, and a cut text does not tell its length.
                    num_a, num_b = self._bodies.count(query), self._bodies.count(document)
                num_a, num_b = longest_first(num_a, num_b, room)
            pair = start + a[:num_a] + middle + b[:num_b] + end
            ids.append(np.array(pair, dtype=np.int32))
            if types is not None:
                types.append(np.array(frame.type_ids(num_a, num_b), dtype=np.int32))
        if overflow == "error":
            _refuse_first(is_truncated, "pairs", frame, room, count_dropped)
        self._fill_empty(ids, types, "pairs")
        return TokenizedTexts(
            ids=ids, token_type_ids=types, is_truncated=is_truncated, count_dropped=count_dropped
        )

    def encode_bare(self, texts: str | Iterable[str]) -> list[NDArray[np.int32]]:
        """Token ids of whole texts, without special tokens and never cut.

        Args:
            texts: Texts; a single string is one text.

        Returns:
            Ids in input order; a text without tokens gives none.

        Raises:
            DataError: Something is no valid text.
        """
        bare = self._prepare(check_texts(texts, "texts"), "")
        bodies = self._bodies.encode(bare, None, lambda index: f"texts[{index}]")
        return [np.array(body, dtype=np.int32) for body in bodies]

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of token ids, special tokens included."""
        return str(self._backend.decode(list(token_ids), skip_special_tokens=False))

    def token(self, token_id: int) -> str:
        """The vocabulary entry of an id.

        Raises:
            DataError: There is no such id.
        """
        token = self._backend.id_to_token(token_id) if token_id >= 0 else None
        if token is None:
            raise DataError(f"token id {token_id}: not in the vocabulary of {self.vocab_size:,}")
        return str(token)

    def describe(self) -> dict[str, Any]:
        """Content of tokenizer.json, by which `fingerprint` is made."""
        described: dict[str, Any] = json.loads(self._serialized)
        return described

    @cached_property
    def vocab_size(self) -> int:
        """Tokens in the vocabulary, added tokens included."""
        return int(self._backend.get_vocab_size())

    @property
    def pad_id(self) -> int:
        """Id that pads."""
        return self._pad_id

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """Ids that carry no term weight: cls, sep, bos, eos, pad, unk and those of the frames."""
        frames = [self._single] if self._pair is None else [self._single, self._pair]
        framed = {i for frame in frames for i in (*frame.start, *frame.middle, *frame.end)}
        return frozenset(framed | set(self.role_ids.values()))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of tokenizer.json, in hexadecimal: equal for tokenizers that give equal ids.

        Texts that are lowercased before it get other ids, so that counts too where it is on.
        """
        content = self._serialized + (b"lowercase" if self._lowercase else b"")
        return hashlib.sha256(content).hexdigest()

    def _prepare(self, texts: list[str], prefix: str) -> list[str]:
        if prefix:
            texts = [prefix + text for text in texts]
        return [text.lower() for text in texts] if self._lowercase else texts

    def _room(self, frame: Frame, max_length: int | None, overflow: str) -> int | None:
        """Tokens that are left for the texts."""
        if overflow not in ("truncate", "error"):
            raise ConfigError(f'overflow: got {overflow!r}, expected "truncate" or "error"')
        limit = self.max_length if max_length is None else max_length
        if limit is None:
            return None
        if limit < max(1, frame.num_tokens):
            raise ConfigError(
                f"max_length: got {limit}, expected at least {max(1, frame.num_tokens)} "
                f"({frame.num_tokens} special tokens)"
            )
        return limit - frame.num_tokens

    def _fill_empty(
        self,
        ids: list[NDArray[np.int32]],
        types: list[NDArray[np.int32]] | None,
        place: str,
    ) -> None:
        """Put one token where there is none."""
        for index, row in enumerate(ids):
            if len(row):
                continue
            filler = self.role_ids.get("eos", self.role_ids.get("pad"))
            if filler is None:
                raise DataError(f"{place}[{index}]: has no tokens, expected at least one")
            ids[index] = np.array([filler], dtype=np.int32)
            if types is not None:
                types[index] = np.zeros(1, dtype=np.int32)


def _refuse_first(
    is_truncated: NDArray[np.bool_],
    place: str,
    frame: Frame,
    room: int | None,
    count_dropped: Callable[[int], int],
) -> None:
    for index in np.flatnonzero(is_truncated)[:1].tolist():
        limit = (room or 0) + frame.num_tokens
        raise DataError(
            f"{place}[{index}]: has {limit + count_dropped(index):,} tokens, "
            f"more than max_length={limit:,}",
            hint='use overflow="truncate" to drop the end',
        )
