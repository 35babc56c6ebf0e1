"""What a tokenizer puts around texts, found by trying: special tokens, and the mask token."""

from dataclasses import dataclass

import numpy as np

from mgte.data.batches import TokenArray
from mgte.errors import ConfigError
from mgte.text import Tokenizer

_PROBES = ("a", "A", "1", ".", "the", "一")
_MASKS = ("[MASK]", "<mask>", "<|mask|>")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TextFrame:
    """Special tokens around one text.

    Attributes:
        start: Ids before the text.
        end: Ids after it.
    """

    start: TokenArray
    end: TokenArray

    @property
    def num_tokens(self) -> int:
        """Special tokens around one text."""
        return len(self.start) + len(self.end)


def text_frame(tokenizer: Tokenizer) -> TextFrame:
    """The special tokens that a tokenizer puts around one text.

    Args:
        tokenizer: The tokenizer.

    Returns:
        The frame.

    Raises:
        ConfigError: No probe text becomes a token.
    """
    for probe in _PROBES:
        bare, framed = tokenizer.encode_bare(probe)[0], tokenizer.encode(probe).ids[0]
        for first in range(len(framed) - len(bare) + 1 if len(bare) else 0):
            if np.array_equal(framed[first : first + len(bare)], bare):
                return TextFrame(start=framed[:first], end=framed[first + len(bare) :])
    raise ConfigError("tokenizer: gives no tokens for simple texts, expected a usable vocabulary")


def pair_overhead(tokenizer: Tokenizer) -> int:
    """Special tokens that a tokenizer puts around a pair of texts."""
    for probe in _PROBES:
        if num_tokens := len(tokenizer.encode_bare(probe)[0]):
            return len(tokenizer.encode_pairs([probe], [probe]).ids[0]) - 2 * num_tokens
    raise ConfigError("tokenizer: gives no tokens for simple texts, expected a usable vocabulary")


def mask_id(tokenizer: Tokenizer) -> int:
    """Id of the mask token.

    Args:
        tokenizer: The tokenizer.

    Returns:
        The id.

    Raises:
        ConfigError: There is no mask token under its usual names.
    """
    # By name, not by encoding it: a tokenizer may lowercase its texts.
    by_content = {tokenizer.token(index): index for index in range(tokenizer.vocab_size)}
    for content in _MASKS:
        if content in by_content:
            return by_content[content]
    raise ConfigError(
        f"tokenizer: has no mask token, expected one of {', '.join(_MASKS)}",
        hint="masked language modelling needs a tokenizer with a mask token",
    )
