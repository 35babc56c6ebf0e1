"""Fields of one row of a file, checked; every fault names file, line, field and what is there."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mgte.errors import DataError
from mgte.text import file_format, read_records

# "title + text" names two columns that are read as one text.
COLUMN_JOIN = " + "
_MAX_NAMED = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordFields:
    """One row as it stands in a file.

    Attributes:
        path: The file.
        place: File and line.
        content: What stands there: a dict, or a string in files of plain text.
    """

    path: Path
    place: str
    content: Any

    def has(self, column: str) -> bool:
        """Whether the row has a column of this name."""
        return isinstance(self.content, dict) and column in self.content

    def value(self, column: str) -> Any:
        """Whatever stands in a column.

        Raises:
            DataError: There is no such column; the message lists those that there are.
        """
        if isinstance(self.content, str):
            return self.content
        if not isinstance(self.content, dict):
            raise DataError(f"{self.place}: got {_kind(self.content)}, expected a row with fields")
        if column in self.content:
            return self.content[column]
        if COLUMN_JOIN in column:
            parts = [self.string(part) for part in column.split(COLUMN_JOIN)]
            return " ".join(part for part in parts if part)
        names = self._all_columns()
        more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
        raise DataError(
            f"{self.place}: no field `{column}`; fields: {', '.join(names[:_MAX_NAMED])}{more}",
            hint="name the file's columns under `fields` of the source",
        )

    def string(self, column: str) -> str:
        """The text in a column; "" where it holds nothing."""
        return self._as_string(column, self.value(column))

    def strings(self, column: str) -> tuple[str, ...]:
        """The list of texts in a column; a single text is a list of one."""
        return tuple(self._as_string(column, item) for item in self._items(column))

    def scores(self, column: str, num_expected: int) -> tuple[float, ...]:
        """The list of numbers in a column, which is empty or holds one per text."""
        items = self._items(column)
        for item in items:
            if isinstance(item, bool) or not isinstance(item, int | float):
                raise DataError(
                    f"{self.place}: field `{column}` holds {_kind(item)}, expected numbers"
                )
            if math.isinf(item):  # NaN stands for a score that nobody gave
                raise DataError(f"{self.place}: field `{column}` holds {item}, expected numbers")
        if items and len(items) != num_expected:
            raise DataError(
                f"{self.place}: field `{column}` holds {len(items)} scores, expected one for each "
                f"of {num_expected} texts"
            )
        return tuple(float(item) for item in items)

    def _items(self, column: str) -> list[Any]:
        value = self.value(column)
        if value is None:
            return []
        return value if isinstance(value, list) else [value]

    def _as_string(self, column: str, value: Any) -> str:
        if value is None:
            return ""
        if not isinstance(value, str):
            raise DataError(
                f"{self.place}: field `{column}` holds {_kind(value)}, expected a string"
            )
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise DataError(
                    f"{self.place}: field `{column}` holds a lone surrogate at character "
                    f"{error.start}, expected valid Unicode"
                ) from None
        return value

    def _all_columns(self) -> list[str]:
        """Columns of the file; of a Parquet file only some were read."""
        content = self.content
        if file_format(self.path) == "parquet":
            _, content = next(iter(read_records(self.path)))
        return list(content) or ["none"]


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    if value is None:
        return "null"
    return kinds.get(type(value), "a number" if isinstance(value, int | float) else "no string")
