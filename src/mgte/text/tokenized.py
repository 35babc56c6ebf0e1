"""TokenizedTexts, what a tokenizer returns, and how a pair that is too long is shortened."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenizedTexts:
    """Token ids of several texts or pairs, in the order of the input.

    Attributes:
        ids: int32 token ids per text, special tokens included.
        token_type_ids: int32 per text as `ids`, or None where all of them are zero.
        is_truncated: bool `[num_texts]`, whether tokens were dropped.
        count_dropped: Exact number of dropped tokens of one text; tokenises it whole when called.
    """

    ids: list[NDArray[np.int32]]
    token_type_ids: list[NDArray[np.int32]] | None
    is_truncated: NDArray[np.bool_]
    count_dropped: Callable[[int], int]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def num_tokens(self) -> NDArray[np.int64]:
        """int64 `[num_texts]`: tokens per text, special tokens included."""
        return np.fromiter(map(len, self.ids), dtype=np.int64, count=len(self.ids))


def longest_first(num_first: int, num_second: int, room: int) -> tuple[int, int]:
    """Tokens that stay of two texts that are together too long.

    Args:
        num_first: Tokens of the first text.
        num_second: Tokens of the second text.
        room: Tokens for both, fewer than they have.

    Returns:
        Tokens that stay of the first and of the second.

    Source: tokenizers, `truncate_encodings`, LongestFirst.
    """
    short, long = sorted((num_first, num_second))
    long = short if short > room else max(short, room - short)
    if short + long > room:
        short = room // 2
        long = short + room % 2
    return (long, short) if num_first > num_second else (short, long)
