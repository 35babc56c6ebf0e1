"""Reads what the components of a tokenizer guarantee, for `cutting`; None where one is unknown."""

import json
from dataclasses import dataclass
from typing import Any

import tokenizers
from tokenizers import models

# Work on one character, or on one character and its combining marks, at a time.
_LOCAL_NORMALIZERS = frozenset(
    {"NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "BertNormalizer", "Strip", "Nmt"}
    | {"Precompiled", "Prepend", "Replace"}
)
# Under these, punctuation stays itself.
_PLAIN_NORMALIZERS = _LOCAL_NORMALIZERS - {"Nmt", "Precompiled", "Prepend", "Replace"}

_WORD_SPLITTERS = frozenset({"BertPreTokenizer", "Whitespace", "WhitespaceSplit"})
_OTHER_SPLITTERS = frozenset({"Punctuation", "Digits", "Metaspace", "ByteLevel", "Split"})

# Patterns in which a word ends where its letters end: GPT-2, Qwen2, Llama 3.
_LETTER_PATTERNS = frozenset(
    {
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    }
)
_WHITESPACE_PATTERNS = frozenset({" {2,}", r"\s+"})


@dataclass(frozen=True, kw_only=True, slots=True)
class PipelineTraits:
    """What the components of one tokenizer guarantee.

    Attributes:
        isolates_punctuation: A word ends where punctuation follows a letter.
        is_whitespace_folded: Whitespace is rewritten together with its neighbours.
        sets_ideographs_apart: Every ideograph is a word.
        is_left_to_right: The tokens left of a boundary do not depend on what follows it.
        patterns: Strings of more than one character that the normaliser replaces.
        max_word_characters: Longest word that is looked at, where letters and digits make words
            and longer words are unknown; None otherwise.
    """

    isolates_punctuation: bool
    is_whitespace_folded: bool
    sets_ideographs_apart: bool
    is_left_to_right: bool
    patterns: tuple[str, ...]
    max_word_characters: int | None

    def ignores_long_words(self, length: int) -> bool:
        """Whether any word of at least `length` characters is one unknown token."""
        return self.max_word_characters is not None and self.max_word_characters < length


def read_traits(backend: tokenizers.Tokenizer) -> PipelineTraits | None:
    """Read the components of a tokenizer.

    Args:
        backend: The tokenizer.

    Returns:
        Its traits, or None if one of its components is not known to work word by word.
    """
    normalizers = _flatten(backend.normalizer, "normalizers")
    splitters = _flatten(backend.pre_tokenizer, "pretokenizers")
    patterns = _read_patterns(normalizers)
    if patterns is None or not _are_words_separate(splitters) or not _is_deterministic(backend):
        return None
    kinds = [state["type"] for state in splitters]
    normalizer_kinds = {state["type"] for state in normalizers}
    is_bert = kinds == ["BertPreTokenizer"]
    is_by_letters = set(kinds) <= {"ByteLevel", "Split"}
    is_word_piece = isinstance(backend.model, models.WordPiece)
    sets_ideographs_apart = any(
        state["type"] == "BertNormalizer" and state["handle_chinese_chars"] for state in normalizers
    )
    return PipelineTraits(
        isolates_punctuation=(is_bert or is_by_letters) and normalizer_kinds <= _PLAIN_NORMALIZERS,
        is_whitespace_folded=not normalizer_kinds <= _PLAIN_NORMALIZERS or "Metaspace" in kinds,
        sets_ideographs_apart=sets_ideographs_apart and is_bert,
        is_left_to_right=_is_left_to_right(backend.model),
        patterns=patterns,
        max_word_characters=backend.model.max_input_chars_per_word
        if is_word_piece and is_bert and normalizer_kinds <= {"BertNormalizer"}
        else None,
    )


def _flatten(component: Any, key: str) -> list[dict[str, Any]]:
    """The settings of a component and, where it is a sequence, of its parts in order."""
    if component is None:
        return []
    try:
        state = json.loads(component.__getstate__())
    except Exception:  # a component written in Python has no settings to read
        return [{"type": "unknown"}]
    pending, flat = [state], []
    while pending:
        state = pending.pop(0)
        if state.get("type") == "Sequence":
            pending = [*state[key], *pending]
        else:
            flat.append({"type": "unknown", **state})
    return flat


def _read_patterns(normalizers: list[dict[str, Any]]) -> tuple[str, ...] | None:
    """Strings that the normaliser replaces, or None if it may join or change words at a cut."""
    patterns: list[str] = []
    for state in normalizers:
        if state["type"] not in _LOCAL_NORMALIZERS:
            return None
        if state["type"] != "Replace":
            continue
        pattern = state["pattern"]
        if "String" in pattern:
            if len(pattern["String"]) > 1:
                patterns.append(pattern["String"])
        elif pattern.get("Regex") not in _WHITESPACE_PATTERNS or state["content"] not in (" ", "▁"):
            return None
    return tuple(patterns)


def _are_words_separate(splitters: list[dict[str, Any]]) -> bool:
    """Whether every splitter is known and one of them ends a word at whitespace."""
    ends_words = False
    for state in splitters:
        kind = state["type"]
        if kind in _WORD_SPLITTERS:
            ends_words = True
        elif kind not in _OTHER_SPLITTERS:
            return False
        elif kind == "Split":
            is_known = (
                state["pattern"].get("Regex") in _LETTER_PATTERNS
                and state["behavior"] == "Isolated"
                and not state["invert"]
            )
            if not is_known:
                return False
            ends_words = True
        elif kind == "Metaspace":
            ends_words = ends_words or bool(state.get("split", True))
        elif kind == "ByteLevel":
            ends_words = ends_words or bool(state.get("use_regex", True))
    return ends_words


def _is_deterministic(backend: tokenizers.Tokenizer) -> bool:
    model = backend.model
    if isinstance(model, models.BPE):
        return not model.dropout
    if isinstance(model, models.Unigram):
        return model.alpha is None and model.nbest_size is None
    return isinstance(model, models.WordPiece | models.WordLevel)


def _is_left_to_right(model: object) -> bool:
    if isinstance(model, models.BPE):
        return not model.ignore_merges and not model.end_of_word_suffix
    return isinstance(model, models.Unigram)
