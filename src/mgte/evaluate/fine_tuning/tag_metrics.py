"""Metrics of tag sequences: entities as CoNLL's evaluation finds them, and words. Loads no torch.

Source: Tjong Kim Sang and De Meulder, CoNLL-2003 (`conlleval`), in the form of the package seqeval
(its default mode), by which the mGTE paper measures entities and parts of speech.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, pairwise

# Entity type, first word and last word.
Entity = tuple[str, int, int]
_OUTSIDE = "O"


def entity_scores(
    expected: Sequence[Sequence[str]], found: Sequence[Sequence[str]]
) -> dict[str, float]:
    """Precision, recall and F1 of whole entities over all sentences, and accuracy of tags.

    Parts of speech are entities too: a run of the same tag is one.

    Args:
        expected: Right tags of every sentence.
        found: Predicted tags, as many.

    Returns:
        "f1", "precision", "recall" and "accuracy", 0 to 1.
    """
    right, given = set(entities(_joined(expected))), set(entities(_joined(found)))
    shared = len(right & given)
    tags = list(zip(chain.from_iterable(expected), chain.from_iterable(found), strict=True))
    return {
        "f1": 2.0 * shared / (len(right) + len(given)) if shared else 0.0,
        "precision": shared / len(given) if given else 0.0,
        "recall": shared / len(right) if right else 0.0,
        "accuracy": sum(a == b for a, b in tags) / len(tags) if tags else 0.0,
    }


def entities(tags: Sequence[str]) -> Iterator[Entity]:
    """Entities of a sequence of tags, lenient as conlleval: an I- without a B- starts one too.

    Args:
        tags: Tags in the IOB2, IOE2 or IOBES scheme, or others, whose first letter is then taken
            for a prefix, as seqeval does.

    Yields:
        Type, first word, last word.
    """
    split = [(_OUTSIDE, ""), *(_split(tag) for tag in (*tags, _OUTSIDE))]
    start = 0
    for word, (before, current) in enumerate(pairwise(split)):
        if _ends(before, current):
            yield before[1], start, word - 1
        if _starts(before, current):
            start = word


def _joined(sentences: Sequence[Sequence[str]]) -> list[str]:
    return [tag for tags in sentences for tag in (*tags, _OUTSIDE)]


def _split(tag: str) -> tuple[str, str]:
    """Prefix and type."""
    return tag[0], tag[1:].split("-", maxsplit=1)[-1] or "_"


def _ends(before: tuple[str, str], current: tuple[str, str]) -> bool:
    if before[0] in "ES" or (before[0] in "BI" and current[0] in "BSO"):
        return True
    return before[0] not in "O." and before[1] != current[1]


def _starts(before: tuple[str, str], current: tuple[str, str]) -> bool:
    if current[0] in "BS" or (before[0] in "ESO" and current[0] in "EI"):
        return True
    return current[0] not in "O." and before[1] != current[1]
