"""Reader of queries with the candidates that are ranked for them."""

import ast
import json
from collections.abc import Sequence
from typing import Any, Literal

from mgte.data import text_hash
from mgte.errors import DataError
from mgte.evaluate.text_data.items import CandidateList
from mgte.evaluate.text_data.rows import TextRow, checked_text

# "rows": one candidate per row, with its grade. "lists": one query per row, its candidates, and
# the place of the right one (or places). "parts": one query per row, relevant and other texts.
CandidateLayout = Literal["rows", "lists", "parts"]

_Graded = dict[str, list[tuple[str, int]]]


def candidate_lists(
    rows: Sequence[TextRow],
    *,
    layout: CandidateLayout = "rows",
    query: str = "query",
    document: str = "document",
    grade: str = "grade",
) -> tuple[CandidateList, ...]:
    """Queries with graded candidates.

    The order of the candidates is that of hashes of their texts: nothing in it tells which are
    right, however the file is sorted, so equal scores earn nothing.

    Args:
        rows: Rows of the data.
        layout: "rows": `document` is one candidate and `grade` its grade; rows of the same query
            belong together. "lists": `document` is the list of candidates, `grade` the place of
            the right one from 0, or a list of places. "parts": `document` is the list of relevant
            texts (or one), `grade` the field with the list of the others.
        query: Field of the query.
        document: Field of candidates, as `layout` says.
        grade: Field of grades, as `layout` says.

    Returns:
        One list per query that has both relevant and other candidates, in the order of the data.

    Raises:
        DataError: A field is missing or wrong, or no query is left.
    """
    graded = _from_rows(rows, query, document, grade) if layout == "rows" else None
    if graded is not None:
        found = list(graded.items())
    elif layout == "lists":
        found = [_from_list(row, query, document, grade) for row in rows]
    else:
        found = [_from_parts(row, query, document, grade) for row in rows]
    lists = []
    for number, (asked, candidates) in enumerate(found, start=1):
        candidates.sort(key=lambda candidate: (text_hash(candidate[0]), candidate[0]))
        grades = tuple(value for _, value in candidates)
        if max(grades) > 0 and min(grades) < 1:
            lists.append(
                CandidateList(
                    item_id=str(number),
                    query=asked,
                    documents=tuple(text for text, _ in candidates),
                    grades=grades,
                )
            )
    if not lists:
        raise DataError(
            f"{rows[0].place}: none of {len(found):,} queries has relevant and other candidates"
        )
    return tuple(lists)


def _from_rows(rows: Sequence[TextRow], query: str, document: str, grade: str) -> _Graded:
    found: _Graded = {}
    for row in rows:
        value = row.number(grade)
        if not value.is_integer() or value < 0:
            raise DataError(
                f"{row.place}: field `{grade}` is {value:g}, expected a whole number from 0"
            )
        found.setdefault(row.text(query), []).append((row.text(document), int(value)))
    return found


def _from_list(
    row: TextRow, query: str, document: str, grade: str
) -> tuple[str, list[tuple[str, int]]]:
    texts = _texts(row, document)
    value = _parsed(row.value(grade))
    places = value if isinstance(value, list) else [value]
    right = set()
    for place in places:
        number = _parsed(place)
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < len(texts):
            raise DataError(
                f"{row.place}: field `{grade}` is {place!r}, expected 0 to {len(texts) - 1}"
            )
        right.add(number)
    return row.text(query), [(text, int(i in right)) for i, text in enumerate(texts)]


def _from_parts(
    row: TextRow, query: str, document: str, grade: str
) -> tuple[str, list[tuple[str, int]]]:
    relevant, others = _texts(row, document), _texts(row, grade)
    return row.text(query), [*((text, 1) for text in relevant), *((text, 0) for text in others)]


def _texts(row: TextRow, name: str) -> list[str]:
    value = row.value(name)
    values = _parsed(value)
    if not isinstance(values, list):
        values = [value]
    if not values:
        raise DataError(f"{row.place}: field `{name}` is an empty list, expected texts")
    return [
        checked_text(text, f"{row.place}: field `{name}`[{index}]")
        for index, text in enumerate(values)
    ]


def _parsed(value: Any) -> Any:
    """A list or number that stands as text, as JSON or as Python writes it."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.isdecimal():
        return int(text)
    if not text.startswith("["):
        return value
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return value
