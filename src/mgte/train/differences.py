"""What differs between two sets of plain settings, by path."""

from collections.abc import Mapping
from typing import Any


def differences(old: Any, new: Any, path: str = "") -> dict[str, tuple[Any, Any]]:
    """Values that are not the same.

    Args:
        old: Plain values: mappings, lists, numbers, texts.
        new: Plain values.
        path: Where they stand.

    Returns:
        (old, new) by path; None where one side has none.
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        pairs = {str(key): (old.get(key), new.get(key)) for key in {**old, **new}}
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = {str(number): pair for number, pair in enumerate(zip(old, new, strict=True))}
    else:
        return {} if old == new else {path: (old, new)}
    found: dict[str, tuple[Any, Any]] = {}
    for key, pair in pairs.items():
        found |= differences(*pair, f"{path}.{key}" if path else key)
    return found


def spoken_differences(found: Mapping[str, tuple[Any, Any]], most: int = 4) -> str:
    """Differences in words: what was and what is, `most` of them."""
    words = [f"{path} was {_shown(old)}, is {_shown(new)}" for path, (old, new) in found.items()]
    more = [f"and {len(words) - most} more"] if len(words) > most else []
    return "; ".join([*words[:most], *more])


def _shown(value: Any) -> str:
    text = "absent" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
