"""Pieces of a Unigram vocabulary and their scores, learned from texts.

Source: SentencePiece, arXiv 1808.06226 (character coverage, no pieces across scripts); Unigram
language model, arXiv 1804.10959. The estimation itself is that of the library `tokenizers`.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from mgte.data.scripts import is_unspaced
from mgte.errors import DataError

WORD_START = "\u2581"
# Characters that make up less than this of the text are spelt in bytes.
_CHARACTER_COVERAGE = 0.9995
# Characters take at most this share of the pieces: a big alphabet must leave room for words.
_MAX_CHARACTER_SHARE = 1 / 3
_MAX_PIECE_CHARACTERS = 16
# Longest run of a script without spaces that is looked at as one word.
_MAX_UNSPACED_RUN = 16
# Distinct words that are looked at, the frequent ones: twice the words take twice the time, and
# rare ones hardly matter (300k words: about a minute on two cores).
_MAX_WORDS = 300_000
# Shrinking by half in each round costs 0.2 % more tokens than by a quarter, and half the time.
_SHRINKING_FACTOR = 0.5
# Learned in excess, so that our own order decides which pieces at the edge stay.
_EXCESS = 1.02
_SCORE_DIGITS = 6
_ASCII = "".join(map(chr, range(0x21, 0x7F)))

Pieces = list[tuple[str, float]]


def learn_pieces(texts: Sequence[str], num_pieces: int) -> Pieces:
    """Learn pieces.

    Args:
        texts: Normalised texts, words between single spaces.
        num_pieces: Pieces wanted.

    Returns:
        Exactly as many, with their log probabilities, likeliest first. All characters that are
        frequent enough, and ASCII, are among them.

    Raises:
        DataError: The texts do not hold as many.
    """
    alphabet = find_alphabet(texts, num_pieces)
    backend = tokenizers.Tokenizer(models.Unigram())
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.UnigramTrainer(
        vocab_size=int(num_pieces * _EXCESS) + 2,
        unk_token="<unk>",
        special_tokens=["<unk>"],
        max_piece_length=_MAX_PIECE_CHARACTERS,
        shrinking_factor=_SHRINKING_FACTOR,
        show_progress=False,
    )
    counts = count_words(texts, alphabet)
    # The trainer counts words itself, so each is given as often as it occurs.
    backend.train_from_iterator((f"{word} " * number for word, number in counts), trainer)
    learned = json.loads(backend.to_str())["model"]["vocab"]
    return _choose(dict(map(tuple, learned)), alphabet, num_pieces)


def find_alphabet(texts: Iterable[str], num_pieces: int) -> set[str]:
    """Characters that become pieces of their own.

    Args:
        texts: Normalised texts.
        num_pieces: Pieces in all.

    Returns:
        ASCII, the mark of a word's start, and the most frequent characters of the texts.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    del counts[" "]
    wanted = _CHARACTER_COVERAGE * counts.total()
    limit = int(num_pieces * _MAX_CHARACTER_SHARE)
    alphabet = {WORD_START, *_ASCII}
    for letter, number in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if wanted <= 0 or len(alphabet) >= limit:
            break
        alphabet.add(letter)
        wanted -= number
    return alphabet


def count_words(texts: Iterable[str], alphabet: set[str]) -> list[tuple[str, int]]:
    """The words that pieces may be taken from, and how often they occur.

    A word ends at white space, where letters meet digits, signs, or letters of a script without
    spaces, and at characters that are not in the alphabet.

    Args:
        texts: Normalised texts.
        alphabet: Characters that are pieces of their own.

    Returns:
        The most frequent words first.
    """
    pattern = _word_pattern(alphabet)
    counts: Counter[str] = Counter()
    for text in texts:
        for word in text.split(" "):
            found = pattern.findall(word)
            if not found:
                continue
            # Before a script without spaces, "▁" tells nothing about the word; counting it there
            # would make it so likely that other words are split after it, too.
            if not is_unspaced(found[0][0]):
                found[0] = WORD_START + found[0]
            counts.update(found)
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_MAX_WORDS]


def _word_pattern(alphabet: set[str]) -> re.Pattern[str]:
    classes: dict[str, str] = {"letters": "", "unspaced": "", "digits": "", "signs": ""}
    for letter in sorted(alphabet - {WORD_START}):
        classes[_class_of(letter)] += re.escape(letter)
    lengths = {"unspaced": f"{{1,{_MAX_UNSPACED_RUN}}}"}
    runs = [f"[{found}]{lengths.get(name, '+')}" for name, found in classes.items() if found]
    return re.compile("|".join(runs))


def _class_of(letter: str) -> str:
    category = unicodedata.category(letter)[0]
    if category in "NPS":
        return "digits" if category == "N" else "signs"
    return "unspaced" if is_unspaced(letter) else "letters"


def _choose(learned: dict[str, float], alphabet: set[str], num_pieces: int) -> Pieces:
    """The alphabet and the likeliest longer pieces.

    The library walks through a hash map of random order, so scores differ in their last digits
    from run to run, and characters that only bytes had paid for get theirs in random order. Both
    are evened out here.
    """
    words = {
        piece: round(score, _SCORE_DIGITS)
        for piece, score in learned.items()
        if len(piece) > 1 and piece != "<unk>"
    }
    lowest = min(words.values(), default=-1.0)
    letters = {
        letter: round(min(max(learned.get(letter, lowest), lowest), 0.0), _SCORE_DIGITS)
        for letter in alphabet
    }
    longer = sorted(words.items(), key=lambda item: (-item[1], item[0]))
    longer = longer[: max(0, num_pieces - len(letters))]
    missing = num_pieces - len(longer) - len(letters)
    if missing:
        raise DataError(
            f"tokenizer: the texts hold {num_pieces - missing:,} pieces beside bytes, expected at "
            f"least {num_pieces:,}",
            hint=f"ask for a vocabulary that is smaller by {missing:,}, or give more text",
        )
    return sorted([*longer, *letters.items()], key=lambda item: (-item[1], item[0]))
