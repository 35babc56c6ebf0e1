"""A sample of texts in which small languages weigh more than their share."""

import heapq
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count

# Texts kept while reading, as a multiple of those wanted.
_SLACK = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class TextSample:
    """Which texts are looked at where there are more than needed.

    Attributes:
        max_texts: Texts wanted.
        alpha: Languages are drawn with shares to this power: 1 keeps them, 0 makes them alike.
        seed: Decides which texts are drawn.
    """

    max_texts: int = 500_000
    alpha: float = 0.5
    seed: int = 0


class _LanguageTexts:
    """A uniform sample of one language's texts: those with the smallest random keys."""

    def __init__(self) -> None:
        self.num_seen = 0
        self._limit = 1.0
        # A heap with the largest key first: (-key, position, text).
        self._kept: list[tuple[float, int, str]] = []

    def add(self, key: float, position: int, text: str) -> bool:
        """Keep a text if its key is small enough."""
        self.num_seen += 1
        if key >= self._limit:
            return False
        heapq.heappush(self._kept, (-key, position, text))
        return True

    def trim(self, num: int) -> None:
        """Keep `num` texts, now and as a bound on the keys of those to come."""
        while len(self._kept) > num:
            self._limit = -heapq.heappop(self._kept)[0]

    def items(self) -> list[tuple[int, str]]:
        """Position and text of what is kept."""
        return [(position, text) for _, position, text in self._kept]

    def __len__(self) -> int:
        return len(self._kept)


def sample_languages(
    texts: Iterable[tuple[str, str]], *, max_texts: int, alpha: float, seed: int
) -> list[tuple[str, str]]:
    """At most `max_texts` texts, drawn so that languages have shares p^alpha / sum p^alpha.

    Reads the texts once and holds at most about twice as many as are wanted. A language that
    has fewer texts than its share gives all of them; the others share the rest.

    Args:
        texts: Language and text.
        max_texts: Texts wanted.
        alpha: 1 keeps the shares of the languages, 0 makes them alike.
        seed: Decides which texts are drawn.

    Returns:
        Language and text, in the order in which they came.
    """
    generator = random.Random(seed)
    languages: dict[str, _LanguageTexts] = {}
    num_kept = 0
    for position, (language, text) in zip(count(), texts, strict=False):
        kept = languages.setdefault(language, _LanguageTexts())
        num_kept += kept.add(generator.random(), position, text)
        if num_kept > _SLACK * max_texts:
            _trim(languages, max_texts, alpha)
            num_kept = sum(map(len, languages.values()))
    _trim(languages, max_texts, alpha)
    found = [
        (position, language, text)
        for language, kept in languages.items()
        for position, text in kept.items()
    ]
    return [(language, text) for _, language, text in sorted(found)]


def _trim(languages: Mapping[str, _LanguageTexts], max_texts: int, alpha: float) -> None:
    counts = {language: kept.num_seen for language, kept in languages.items()}
    for language, num in share_out(counts, max_texts, alpha).items():
        languages[language].trim(num)


def share_out(counts: Mapping[str, int], total: int, alpha: float) -> dict[str, int]:
    """How many of `total` go to each name, in proportion to count^alpha and never above count.

    Args:
        counts: What each name has.
        total: What is shared out.
        alpha: Power of the counts.

    Returns:
        A number per name; together at most `total`.
    """
    shares: dict[str, int] = {}
    weights = {name: float(count) ** alpha for name, count in counts.items()}
    # Names with the smallest count for their weight are filled first, as they leave a rest.
    for name in sorted(counts, key=lambda name: (counts[name] / weights[name], name)):
        share = int(total * weights[name] / sum(weights.values()))
        shares[name] = min(counts[name], share)
        total -= shares[name]
        del weights[name]
    return shares
