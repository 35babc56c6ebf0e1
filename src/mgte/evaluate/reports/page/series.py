"""Series of charts: the same way of using a model has the same colour in every chart."""

from collections.abc import Iterable, Sequence

from mgte.evaluate.reports.page.elements import Markup, element, joined

_KNOWN = ("dense", "sparse", "hybrid", "reranked", "bm25")
_NUM_COLORS = 8


def series_colors(names: Iterable[str]) -> dict[str, str]:
    """Name of each series to a class of the style sheet.

    Args:
        names: Names of series, such as variants.

    Returns:
        Well-known variants have fixed classes; others take the next ones in turn.
    """
    found = list(dict.fromkeys(names))
    known = {name: index for index, name in enumerate(_KNOWN)}
    # One nameless way of using a model looks like "dense".
    known[""] = 0
    others = [name for name in found if name not in known]
    has_known = any(name in known for name in found)
    first = len(_KNOWN) if has_known else 0
    places = {name: first + index for index, name in enumerate(others)}
    return {name: f"s{known.get(name, places.get(name, 0)) % _NUM_COLORS}" for name in found}


def legend(names: Sequence[str], colors: dict[str, str]) -> Markup:
    """Names beside their colours; empty where there are none but a nameless series."""
    entries = [element("li", element("i", class_=colors[name]), name) for name in names if name]
    return element("ul", joined(entries), class_="legend") if entries else Markup()
