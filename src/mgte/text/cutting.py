"""Where a long text may be cut before tokenising, with the same first tokens as the whole text.

A tokenizer normalises characters, splits the result into words, and splits each word into tokens.
Three arguments, each used only where it is known to hold for the components at hand:

1. *Between words.* Before a space (or, where the splitter isolates it, punctuation) that follows a
   letter, a new word begins whatever comes later; so does a new one between two ideographs that a
   BERT normaliser sets apart. Words are tokenised independently.
2. *Inside a word, by agreement.* The best segmentation of a Unigram model up to a boundary, and the
   merges of a BPE model left of a boundary, do not depend on what follows that boundary. No token
   is longer than `window` characters, so the whole text has a boundary at one of any `window`
   consecutive positions. If the prefixes cut at each of them begin with the same ids, so does
   the whole text.
3. *Words that are unknown anyway.* WordPiece makes one unknown token of a word that is too long,
   so the middle of such a word can go.

A component that is not listed here gives no rules, and then texts are tokenised whole.
"""

import itertools
import re
import string
import unicodedata
from dataclasses import dataclass

import tokenizers
from tokenizers import models

from mgte.text.pipeline import PipelineTraits, read_traits

# How far back from the wanted length a cut is looked for.
_SEARCH_CHARACTERS = 1024
# Shortest window, so that contractions such as 're lie outside the letters that are cut.
_MIN_WINDOW = 8
# Runs shortened to this many characters stay longer than any word that WordPiece looks at.
_SQUEEZED_RUN = 2000
_LONG_RUN = re.compile(rf"[A-Za-z0-9]{{{_SQUEEZED_RUN + 1},}}")

_WHITESPACE = " \n\t\r"
# No '<', '=', '>' (a combining stroke turns them into other characters) and no apostrophe
# (contractions); ASCII and CJK punctuation that nothing composes with.
_PUNCTUATION = ',.;:!?()"/-，。、；：！？（）「」《》'  # noqa: RUF001


@dataclass(frozen=True, kw_only=True, slots=True)
class CutRules:
    """What is known about one tokenizer.

    Attributes:
        separators: Characters before which a word ends if a letter or digit stands before them.
        needs_letter_after: Whether a letter or digit must also follow the separator.
        between_ideographs: Whether a cut between two ideographs is safe.
        window: Number of consecutive positions of which one is a token boundary; 0 where argument
            2 does not hold.
        window_margin: Letters that must stand before the window, so that no added token reaches
            into it.
        is_window_ascii: Whether the window may hold ASCII letters only.
        squeezes: Whether argument 3 holds.
    """

    separators: frozenset[str]
    needs_letter_after: bool
    between_ideographs: bool
    window: int
    window_margin: int
    is_window_ascii: bool
    squeezes: bool


def find_cut(text: str, near: int, rules: CutRules) -> int | None:
    """The last safe position at or shortly before `near`, by argument 1.

    Args:
        text: The text.
        near: Wanted length of the prefix, below `len(text)`.
        rules: What holds for the tokenizer.

    Returns:
        Length of the prefix, or None if there is no safe position nearby.
    """
    for position in range(near, max(near - _SEARCH_CHARACTERS, 0), -1):
        character = text[position]
        if character in rules.separators:
            after = text[position + 1 : position + 2]
            if _is_letter(text[position - 1]) and (
                not rules.needs_letter_after or (after and _is_letter(after))
            ):
                return position
        elif rules.between_ideographs and _is_ideograph(character):
            if _is_ideograph(text[position - 1]):
                return position
    return None


def find_window(text: str, near: int, rules: CutRules) -> list[int]:
    """Positions near `near` of which one is a token boundary of the whole text, by argument 2.

    Args:
        text: The text.
        near: Wanted length of the longest prefix, below `len(text)`.
        rules: What holds for the tokenizer.

    Returns:
        Consecutive positions, or an empty list if the text around them is not plain enough.
    """
    if not rules.window:
        return []
    reach = rules.window + rules.window_margin
    is_steady = _is_ascii_letter if rules.is_window_ascii else _is_steady
    run = 0
    for position in range(near, max(near - _SEARCH_CHARACTERS - reach, -1), -1):
        run = run + 1 if is_steady(text[position]) else 0
        if run > reach:  # the character after the last cut counts too
            last = position + reach
            return list(range(last - rules.window + 1, last + 1))
    return []


def squeeze(text: str) -> str:
    """The text with the middle of very long words left out, by argument 3."""
    half = _SQUEEZED_RUN // 2
    return _LONG_RUN.sub(lambda run: run[0][:half] + run[0][-half:], text)


def build_cut_rules(backend: tokenizers.Tokenizer) -> CutRules | None:
    """Work out where texts may be cut for this tokenizer.

    Args:
        backend: The tokenizer.

    Returns:
        The rules, or None if a component is unknown and texts must be tokenised whole.
    """
    traits = read_traits(backend)
    if traits is None:
        return None
    added = _added_contents(backend)
    # A cut at (letter, separator) must not lie inside an added token such as "</s>".
    unsafe = {
        after
        for content in added
        for before, after in itertools.pairwise(content)
        if before.isalnum()
    }
    unsafe.update(*traits.patterns)
    candidates = _WHITESPACE + (_PUNCTUATION if traits.isolates_punctuation else "")
    separators = frozenset(
        character
        for character in candidates
        if not unsafe & {character, *_normalize(backend, character)}
        and _starts_a_word(backend, character)
    )
    has_ideographs = any(_is_ideograph(character) for content in added for character in content)
    starts_with_letter = any(content[:1].isalnum() for content in added)
    window = 0 if starts_with_letter else _measure_window(backend, traits)
    longest_added = max(map(len, added), default=0)
    return CutRules(
        separators=separators,
        needs_letter_after=traits.is_whitespace_folded,
        between_ideographs=traits.sets_ideographs_apart and not has_ideographs,
        window=window,
        window_margin=longest_added,
        is_window_ascii=isinstance(backend.model, models.BPE),
        squeezes=traits.ignores_long_words(_SQUEEZED_RUN)
        and longest_added < _SQUEEZED_RUN // 2
        and not any(content.isascii() and content.isalnum() for content in added),
    )


def _added_contents(backend: tokenizers.Tokenizer) -> list[str]:
    """Added tokens as they stand in a text, and as they stand in a normalised text."""
    contents = [token.content for token in backend.get_added_tokens_decoder().values()]
    return [form for content in contents for form in (content, _normalize(backend, content))]


def _normalize(backend: tokenizers.Tokenizer, text: str) -> str:
    return text if backend.normalizer is None else backend.normalizer.normalize_str(text)


def _words(backend: tokenizers.Tokenizer, text: str) -> list[str]:
    normalized = _normalize(backend, text)
    return [word for word, _ in backend.pre_tokenizer.pre_tokenize_str(normalized)]


def _starts_a_word(backend: tokenizers.Tokenizer, character: str) -> bool:
    """Whether "a<character>b" splits into the word of "a" and something after it."""
    words, alone = _words(backend, f"a{character}b"), _words(backend, "a")
    return len(words) > 1 and words[:1] == alone


def _measure_window(backend: tokenizers.Tokenizer, traits: PipelineTraits) -> int:
    """Length of the longest token that holds a letter of the kind that a window is made of."""
    if not traits.is_left_to_right:
        return 0
    # An unchanged number of characters, so that positions in the text are positions in the words.
    letters = string.ascii_letters + "的あア"
    extra = len(_normalize(backend, "a")) - 1
    if len(_normalize(backend, letters)) - extra != len(letters):
        return 0
    vocab = backend.get_vocab(with_added_tokens=False)
    if isinstance(backend.model, models.BPE):
        if not all(letter in vocab for letter in string.ascii_letters):
            return 0
        lengths = [len(token) for token in vocab if any(map(_is_ascii_letter, token))]
    else:
        lengths = [len(token) for token in vocab if any(map(_is_steady, token))]
    return max(_MIN_WINDOW, max(lengths, default=0))


def _is_ascii_letter(character: str) -> bool:
    return character.isascii() and character.isalpha()


def _is_ideograph(character: str) -> bool:
    return "\u4e00" <= character <= "\u9fff" or "\u3400" <= character <= "\u4dbf"


def _is_steady(character: str) -> bool:
    """Whether a normaliser treats the character alone, whatever its neighbours of this kind."""
    return (
        _is_ascii_letter(character)
        or "\u4e00" <= character <= "\u9fff"
        or "\u3041" <= character <= "\u3096"
        or "\u30a1" <= character <= "\u30fa"
    )


def _is_letter(character: str) -> bool:
    """Whether a character is a letter or digit that forms no cluster with a space beside it."""
    if character.isascii():
        return character.isalnum()
    return (
        character < "\U00010000"
        and character != "\u0d4e"  # the one letter of this plane that joins what follows it
        and unicodedata.category(character) in {"Lu", "Ll", "Lo"}
        and unicodedata.is_normalized("NFKC", character)
    )
