"""Texts of wanted lengths, for measuring time: made of plain words, or taken from a collection."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mgte.evaluate.subjects.subject import TextEncoder
from mgte.packing import TokenIds
from mgte.text import read_corpus

# Frequent English words: every tokenizer knows them, so a word is about a token.
_WORDS = (
    "the of and to in a is that for it as was with be by on not he his but at are this have from "
    "or had an they which one you were all her she there would their we him been has when who will "
    "no more if out so up said what its about than into them can only other time new some could "
    "these two may first then do any like my now over such our man me even most made after also "
    "well many must before back see through way where get much go good water long little very "
    "still world own life day house great small light night city river stone north market paper"
).split()
# Shortest text as a share of the longest: uniform lengths between are 0.53 of it on average, as
# the 4,456 of 8,192 tokens of table 6 of mGTE.
_SHORTEST = 1 / 16
_LEAST_TEXTS = 4
# Of the longest length, so that almost no text is cut.
_ROOM = 0.95


@dataclass(frozen=True, kw_only=True, slots=True)
class TextSet:
    """Texts whose encoding is timed together.

    Attributes:
        texts: The texts, in no order of length.
        length: Longest one in tokens, about.
    """

    texts: tuple[str, ...]
    length: int


def made_texts(encoder: TextEncoder, length: int, num_tokens: int, seed: int) -> TextSet:
    """Texts of random words, their lengths uniform between a sixteenth of the longest and it.

    Args:
        encoder: Whose tokens count.
        length: Longest text in tokens.
        num_tokens: Tokens of all texts together, about.
        seed: Decides words and lengths.

    Returns:
        At least four texts.
    """
    rng = np.random.default_rng((seed, length))
    per_token = _ROOM * _words_per_token(encoder, rng)
    count = max(_LEAST_TEXTS, round(num_tokens / (length * (1 + _SHORTEST) / 2)))
    shares = rng.uniform(_SHORTEST, 1.0, count)
    # Drawn lengths may all be short: the longest decides on memory, so it is always there.
    shares[int(rng.integers(count))] = 1.0
    texts = [
        " ".join(rng.choice(_WORDS, max(1, round(share * length * per_token)))) for share in shares
    ]
    return TextSet(texts=tuple(texts), length=length)


def _words_per_token(encoder: TextEncoder, rng: np.random.Generator) -> float:
    words = rng.permutation(_WORDS).tolist()
    while len(words) > 1:
        found = encoder.encode([" ".join(words)], role="document")
        if not found.is_truncated[0]:
            # Servers may not tell tokens; a word is about one then.
            return len(words) / (int(found.num_tokens[0]) or len(words))
        words = words[: len(words) // 2]
    return 1.0


def collection_texts(folder: Path, max_texts: int, length: int, seed: int) -> TextSet:
    """Documents of a collection, as they are; the model cuts them where it must.

    Args:
        folder: BEIR folder.
        max_texts: Documents at most, drawn at random; 0 means all.
        length: What the model cuts them to, in tokens.
        seed: Decides which.

    Returns:
        The documents, in their order.

    Raises:
        DataError: The collection cannot be read.
    """
    texts = [document.full_text for document in read_corpus(folder)]
    if 0 < max_texts < len(texts):
        chosen = np.random.default_rng(seed).choice(len(texts), max_texts, replace=False)
        texts = [texts[index] for index in sorted(chosen.tolist())]
    return TextSet(texts=tuple(texts), length=length)


def filled(sequences: Sequence[TokenIds], batch_size: int) -> list[list[int]]:
    """Sequences filled up to the longest of their batch, as engines without packing need them.

    Args:
        sequences: Token ids in the order of arrival.
        batch_size: Sequences that travel together.

    Returns:
        As many sequences; their first token fills them.
    """
    found: list[list[int]] = []
    for start in range(0, len(sequences), batch_size):
        batch = [[int(token) for token in ids] for ids in sequences[start : start + batch_size]]
        longest = max(map(len, batch))
        # Any token costs what padding costs; models leave padding out of their results anyway.
        found += [[*ids, *ids[:1] * (longest - len(ids))] for ids in batch]
    return found
