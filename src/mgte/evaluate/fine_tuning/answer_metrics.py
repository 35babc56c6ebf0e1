"""F1 and exact match of answers, as SQuAD and MLQA define them. Loads no torch.

Source: SQuAD v1.1 (arXiv 1606.05250) and its evaluation; MLQA (arXiv 1910.07475), section 4, and
its evaluation: other articles in each language, Unicode punctuation, ideographs as words.
"""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal

AnswerStyle = Literal["squad", "mlqa"]

_ASCII_PUNCTUATION = frozenset(string.punctuation)
_IDEOGRAPH = re.compile(r"[\u4e00-\u9fa5]")
_ARTICLES = {
    "en": "a an the",
    "es": "un una unos unas el la los las",
    "de": "ein eine einen einem eines einer der die das den dem des",
    "vi": "của là cái chiếc những",
}
# The article of Arabic is a prefix; MLQA's evaluation takes these two letters out everywhere.
_ARABIC_ARTICLE = re.compile("ال")


def answer_scores(
    found: str, answers: Sequence[str], *, style: AnswerStyle = "squad", language: str = "en"
) -> tuple[float, float]:
    """F1 and exact match of one answer: the best over all right answers.

    Args:
        found: What the model answered.
        answers: Right answers, at least one.
        style: Whose normalisation; SQuAD's knows English only.
        language: Language of the answers, for MLQA's.

    Returns:
        F1 of words and exact match, 0 to 1.
    """
    normalize = _normalizer(style, language)
    given = normalize(found)
    scores = [(_word_f1(given, right), float(given == right)) for right in map(normalize, answers)]
    return max(f1 for f1, _ in scores), max(exact for _, exact in scores)


def normalize_squad(text: str) -> str:
    """Lower case, without ASCII punctuation, English articles and doubled spaces."""
    text = "".join(letter for letter in text.lower() if letter not in _ASCII_PUNCTUATION)
    return " ".join(_article_pattern("en").sub(" ", text).split())


def normalize_mlqa(text: str, language: str) -> str:
    """Lower case, without punctuation and the language's articles; ideographs stand apart.

    Args:
        text: An answer.
        language: Its language; those without articles in the list lose none.

    Returns:
        Words with single spaces between them.
    """
    text = "".join(letter for letter in text.lower() if not _is_punctuation(letter))
    if language in _ARTICLES:
        text = _article_pattern(language).sub(" ", text)
    elif language == "ar":
        text = _ARABIC_ARTICLE.sub(" ", text)
    elif language == "zh":
        text = _IDEOGRAPH.sub(lambda match: f" {match[0]} ", text)
    return " ".join(text.split())


def _normalizer(style: AnswerStyle, language: str) -> Callable[[str], str]:
    if style == "squad":
        return normalize_squad
    return lambda text: normalize_mlqa(text, language)


def _word_f1(found: str, right: str) -> float:
    given, wanted = found.split(), right.split()
    shared = sum((Counter(given) & Counter(wanted)).values())
    return 2.0 * shared / (len(given) + len(wanted)) if shared else 0.0


@lru_cache
def _article_pattern(language: str) -> re.Pattern[str]:
    return re.compile(rf"\b({'|'.join(_ARTICLES[language].split())})\b")


def _is_punctuation(letter: str) -> bool:
    return letter in _ASCII_PUNCTUATION or unicodedata.category(letter).startswith("P")
