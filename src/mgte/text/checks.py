"""Checks of texts that come from outside: every fault is named with its place."""

import re
from collections.abc import Iterable

from mgte.errors import DataError

_SURROGATE = re.compile("[\ud800-\udfff]")


def check_texts(texts: str | Iterable[str], place: str) -> list[str]:
    """The texts as a list; a single string is one text.

    Args:
        texts: What the caller gave.
        place: Name of the argument, for the message.

    Returns:
        A list of strings.

    Raises:
        DataError: Something is not a string.
    """
    if isinstance(texts, str):
        return [texts]
    if isinstance(texts, bytes | dict) or not isinstance(texts, Iterable):
        raise DataError(f"{place}: got {type(texts).__name__}, expected a list of str")
    items = list(texts)
    for index, item in enumerate(items):
        if not isinstance(item, str):
            raise DataError(f"{place}[{index}]: got {type(item).__name__}, expected str")
    return items


def find_surrogate(text: str) -> int | None:
    """Position of the first lone surrogate, which no encoding can carry, or None."""
    found = _SURROGATE.search(text)
    return found.start() if found else None


def surrogate_error(place: str, text: str, position: int) -> DataError:
    """The error for a lone surrogate at `position` of `text`."""
    return DataError(
        f"{place}: lone surrogate U+{ord(text[position]):04X} at character {position}, "
        "expected valid Unicode",
        hint="decode the source with errors='replace', or drop the character",
    )
