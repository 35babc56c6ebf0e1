"""Tokens with the words or characters that they stand for: for tags and for spans.

`mgte.text.Tokenizer` gives ids only. The same tokenizer.json gives both here.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import normalizers, pre_tokenizers

from mgte.text import Tokenizer


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AlignedText:
    """A tokenised sequence.

    Attributes:
        ids: Token ids.
        types: Segment ids; None where all are 0.
        words: Word of each token; None for special tokens.
        owners: 0 and 1 for tokens of the first and second text; None for special tokens.
        offsets: First character of each token, and the one behind its last, in its own text.
    """

    ids: NDArray[np.int32]
    types: NDArray[np.int32] | None
    words: tuple[int | None, ...]
    owners: tuple[int | None, ...]
    offsets: tuple[tuple[int, int], ...]


class AlignedTokenizer:
    """A tokenizer that tells where tokens come from.

    Args:
        tokenizer: The encoder's tokenizer.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._backend = _backend_of(tokenizer)
        self._of_words = _backend_of(tokenizer)
        # Words that stand alone would begin like the first word of a text, without their space.
        if isinstance(self._of_words.pre_tokenizer, pre_tokenizers.ByteLevel):
            self._of_words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)

    def encode_words(self, sentence: Sequence[str], *, max_length: int) -> AlignedText:
        """Tokenise words one by one into one sequence.

        Args:
            sentence: Words.
            max_length: Tokens, special tokens included; the rest is dropped.

        Returns:
            The sequence.
        """
        self._of_words.enable_truncation(max_length)
        return _aligned(self._of_words.encode(list(sentence), is_pretokenized=True))

    def encode_windows(
        self, question: str, context: str, *, max_length: int, stride: int
    ) -> list[AlignedText]:
        """Tokenise a question with each of the overlapping windows of a context.

        Args:
            question: First text, whole in every window.
            context: Second text.
            max_length: Tokens of a window, question and special tokens included.
            stride: Tokens of the context that neighbouring windows share.

        Returns:
            At least one window.
        """
        # The question may fill the window only so far that every window still moves on.
        room = max_length - self._backend.num_special_tokens_to_add(is_pair=True)
        self._backend.no_truncation()
        first = self._backend.encode(question, add_special_tokens=False)
        if len(first) > room - stride - 1:
            last = first.offsets[max(0, room - stride - 2)][1]
            question = question[:last]
        self._backend.enable_truncation(max_length, stride=stride, strategy="only_second")
        encoded = self._backend.encode(question, context)
        return [_aligned(window) for window in (encoded, *encoded.overflowing)]


def _backend_of(tokenizer: Tokenizer) -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer.from_str(json.dumps(tokenizer.describe()))
    backend.no_padding()
    backend.no_truncation()
    own = tokenizer.encode_bare("A")[0].tolist()
    if backend.encode("A", add_special_tokens=False).ids != own:
        # Texts of this model are lowercased before its tokenizer.json comes in.
        lowercase = normalizers.Lowercase()
        known = backend.normalizer
        backend.normalizer = (
            lowercase if known is None else normalizers.Sequence([lowercase, known])
        )
    return backend


def _aligned(encoding: tokenizers.Encoding) -> AlignedText:
    types = np.array(encoding.type_ids, dtype=np.int32)
    return AlignedText(
        ids=np.array(encoding.ids, dtype=np.int32),
        types=types if types.any() else None,
        words=tuple(encoding.word_ids),
        owners=tuple(encoding.sequence_ids),
        offsets=tuple(encoding.offsets),
    )
