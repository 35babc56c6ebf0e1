"""HTML elements whose contents are escaped by construction."""

from collections.abc import Iterable
from html import escape

_VOID = ("meta", "br", "hr", "input")


class Markup(str):
    """Text that is HTML already; every other text is escaped where it enters an element."""

    __slots__ = ()


def element(tag: str, /, *children: str, **attributes: object) -> Markup:
    """An element.

    Args:
        tag: Its name.
        children: What stands in it; plain texts are escaped.
        attributes: Its attributes; `_` becomes `-`, a trailing one is dropped (`class_`). None and
            False leave an attribute out, True gives it without a value.

    Returns:
        The element.
    """
    pairs = "".join(_attribute(key, value) for key, value in attributes.items())
    if tag in _VOID:
        return Markup(f"<{tag}{pairs}>")
    return Markup(f"<{tag}{pairs}>{joined(children)}</{tag}>")


def joined(parts: Iterable[str]) -> Markup:
    """Parts one after the other; plain texts are escaped."""
    return Markup("".join(part if isinstance(part, Markup) else plain(part) for part in parts))


def plain(text: str) -> Markup:
    """A text as HTML; what UTF-8 cannot hold is replaced."""
    return Markup(escape(text.encode("utf-8", "replace").decode("utf-8")))


def _attribute(key: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{plain(str(value))}"'
