"""Tables of a report's page: sortable by any column, numbers on the right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mgte.evaluate.reports.page.elements import Markup, element, joined


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One cell.

    Attributes:
        content: What it shows; plain texts are escaped.
        order: What it is sorted by; None means by its text.
        is_number: Whether it stands on the right.
        role: Class of the style sheet, such as "better".
        detail: What is told when it is pointed at.
    """

    content: str
    order: float | None = None
    is_number: bool = False
    role: str = ""
    detail: str = ""


def number_cell(value: float | None, text: str, role: str = "", detail: str = "") -> Cell:
    """A number, or an empty cell."""
    content = "" if value is None else text
    return Cell(content=content, order=value, is_number=True, role=role, detail=detail)


def sortable_table(
    header: Sequence[str], rows: Sequence[Sequence[Cell]], caption: str, marked: Sequence[int] = ()
) -> Markup:
    """A table whose columns can be sorted with mouse and keyboard.

    Args:
        header: Names of the columns.
        rows: Cells, row by row.
        caption: What it shows.
        marked: Rows that stand out, such as means.

    Returns:
        The table, in a frame that scrolls; columns in which no row has anything are left out.
    """
    kept = [i for i in range(len(header)) if not rows or any(row[i].content for row in rows)]
    header, rows = [header[i] for i in kept], [[row[i] for i in kept] for row in rows]
    first = rows[0] if rows else ()
    heads = [
        element(
            "th",
            element("button", name, type="button"),
            scope="col",
            class_="number" if index < len(first) and first[index].is_number else None,
            aria_sort="none",
        )
        for index, name in enumerate(header)
    ]
    body = [
        element("tr", *(_cell(cell) for cell in row), class_="mean" if i in marked else None)
        for i, row in enumerate(rows)
    ]
    inner = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *heads)),
        element("tbody", *body),
        class_="sortable",
    )
    # A frame that scrolls must be reachable by keyboard.
    return element("div", inner, class_="frame", tabindex="0", role="region", aria_label=caption)


def pair_table(values: Mapping[str, str] | Sequence[tuple[str, str]], caption: str) -> Markup:
    """Names and values, two columns.

    Args:
        values: Name to value.
        caption: What they are.

    Returns:
        The table; empty without values.
    """
    pairs = list(values.items()) if isinstance(values, Mapping) else list(values)
    if not pairs:
        return Markup()
    rows = [
        element("tr", element("th", name, scope="row"), element("td", value))
        for name, value in pairs
    ]
    return element(
        "table", element("caption", caption), element("tbody", joined(rows)), class_="pairs"
    )


def _cell(cell: Cell) -> Markup:
    roles = " ".join(filter(None, ["number" if cell.is_number else "", cell.role]))
    order = None if cell.order is None else f"{cell.order:.10g}"
    return element(
        "td", cell.content, class_=roles or None, data_order=order, title=cell.detail or None
    )
