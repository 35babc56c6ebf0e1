"""Recall by answer string: has one of the first documents the answer in it? Loads no torch.

The protocol of MKQA. A query has no judgements but strings that answer it, in any language.
Source: RocketQA, arXiv 2010.08191, and FlagEmbedding's scripts of BGE-M3 for MKQA.
"""

import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby

from mgte.errors import DataError

ANSWER_METRIC = "answer_recall_at_20"
_PREFIX = "answer_recall_at_"
_DEPTHS = (20, 1, 5, 10, 100)
ANSWER_METRICS = tuple(f"{_PREFIX}{depth}" for depth in _DEPTHS)

# What FlagEmbedding makes alike in documents, and only there: dashes, quotes, slashes, dots.
_ALIKE = {
    "-": "\u2010\u2011\u2043\u2012\u2013\u2014\u2015\u2212\uff0d\u207b",
    '"': "\u201c\u201d\u201e\u201f",
    "'": "\u2018\u2019\u201a\u201b\u055a\ua78b\ua78c\uff07`\u00b4\u2032\u2035",
    "''": "\u2033\u2036",
    "'''": "\u2034\u2037",
    "''''": "\u2057",
    "/": "\u2044\u2215",
    "...": "\u2026",
    " ": "\x0b\x0c\x85",
    "": "\u00ad" + "".join(map(chr, [*range(1, 9), 14, 15, *range(0x11, 0x1C)])),
}
_UNIFIED = str.maketrans({letter: to for to, letters in _ALIKE.items() for letter in letters})
# Stands between tokens; no token holds it.
_BETWEEN = "\0"


def has_answer(answers: Iterable[str], text: str) -> bool:
    """Whether a text holds one of some answers, token by token.

    Tokens are runs of letters, digits and marks, and single other signs; case and composition of
    letters do not count.

    Args:
        answers: Strings; those without a token are in no text.
        text: Title and body of a document.

    Returns:
        Whether the tokens of an answer stand in the text, one after another.
    """
    return _holds(_tokens_of_text(text), [_joined(answer) for answer in answers])


def measure_answers(
    rankings: Mapping[str, Sequence[str]],
    answers: Mapping[str, Sequence[str]],
    texts: Mapping[str, str],
) -> dict[str, dict[str, float]]:
    """Recall by answer string of every query that has answers.

    Args:
        rankings: Query id to document ids, best first. A query that is missing counts 0.
        answers: Query id to the strings that answer it.
        texts: Document id to title and body, joined by a line break.

    Returns:
        Query id to metric to 1 or 0: whether a document up to that rank holds an answer.

    Raises:
        DataError: There are no answers, or a ranking names a document that is not in `texts`.
    """
    if not answers:
        raise DataError("answers: got none, expected some for at least one query")
    tokens: dict[str, str] = {}  # documents are found by many queries
    measured = {}
    for query_id, strings in answers.items():
        wanted = [_joined(answer) for answer in strings]
        rank = float("inf")
        for place, doc_id in enumerate(rankings.get(query_id, ())[: max(_DEPTHS)], start=1):
            if doc_id not in tokens:
                if doc_id not in texts:
                    raise DataError(f"answers: ranked document {doc_id} has no text, expected one")
                tokens[doc_id] = _tokens_of_text(texts[doc_id])
            if _holds(tokens[doc_id], wanted):
                rank = place
                break
        measured[query_id] = {f"{_PREFIX}{depth}": float(rank <= depth) for depth in _DEPTHS}
    return measured


def _holds(tokens: str, answers: Iterable[str]) -> bool:
    return any(len(answer) > len(_BETWEEN) and answer in tokens for answer in answers)


def _tokens_of_text(text: str) -> str:
    return _joined(text.lower().translate(_UNIFIED))


def _joined(text: str) -> str:
    tokens = _pattern().findall(unicodedata.normalize("NFD", text))
    return _BETWEEN + "".join(token.lower() + _BETWEEN for token in tokens)


@cache
def _pattern() -> re.Pattern[str]:
    r"""Runs of letters, numbers and marks, or one sign that is no space and no control.

    `\w` of the standard library lacks marks, without which many scripts fall to pieces.
    """
    words: list[str] = []
    signs: list[str] = []
    codes = range(sys.maxunicode + 1)
    for kind, first, last in _ranges(unicodedata.category(chr(code))[0] for code in codes):
        if kind not in "ZC":
            span = f"{re.escape(chr(first))}-{re.escape(chr(last))}"
            (words if kind == "w" else signs).append(span)
    return re.compile(f"[{''.join(words)}]+|[{''.join(signs)}]")


def _ranges(kinds: Iterable[str]) -> Iterator[tuple[str, int, int]]:
    merged = ("w" if kind in "LNM" else kind for kind in kinds)
    first = 0
    for kind, group in groupby(merged):
        length = sum(1 for _ in group)
        yield kind, first, first + length - 1
        first += length
