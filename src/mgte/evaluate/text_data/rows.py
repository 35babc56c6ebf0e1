"""Rows of a task's data, chosen as its settings say, and checked fields of a row."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mgte.errors import DataError
from mgte.evaluate.text_data.config import TextDataConfig, filled
from mgte.evaluate.text_data.lines import file_rows, text_lines
from mgte.text import RawRecord

_HINT = "the folder of the data is set with --data-root or MGTE_DATA"


@dataclass(frozen=True, kw_only=True, slots=True)
class TextRow:
    """One row.

    Attributes:
        place: File and line, for messages.
        fields: Field to value.
    """

    place: str
    fields: dict[str, Any]

    def value(self, name: str) -> Any:
        """What stands in a field.

        Raises:
            DataError: There is no such field.
        """
        if name not in self.fields:
            known = ", ".join(list(self.fields)[:8]) or "none"
            raise DataError(f"{self.place}: no field `{name}`; fields: {known}")
        return self.fields[name]

    def text(self, name: str) -> str:
        """A text.

        Raises:
            DataError: The field is missing, blank, no text, or holds a lone surrogate.
        """
        return checked_text(self.value(name), f"{self.place}: field `{name}`")

    def number(self, name: str) -> float:
        """A finite number, also one that is written as text.

        Raises:
            DataError: The field is missing or holds none.
        """
        value = self.value(name)
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise DataError(
                f"{self.place}: field `{name}` is {_shown(value)}, expected a number",
                hint="rows without one are left out by `drop_empty`",
            )
        return number

    def label(self, name: str) -> str:
        """A label: a text, or a number or list of one label as text.

        Raises:
            DataError: The field is missing or holds none.
        """
        value = self.value(name)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        text = as_label(value)
        if not text:
            raise DataError(f"{self.place}: field `{name}` is {_shown(value)}, expected a label")
        return text


def read_text_rows(
    config: TextDataConfig, root: Path, *, split: str, subset: str = "", language: str = ""
) -> list[TextRow]:
    """The rows that the settings choose.

    Args:
        config: Where the data lie.
        root: Folder that paths stand below.
        split: Part of the data.
        subset: Part that is measured by itself.
        language: Its language.

    Returns:
        Rows in the order of the files; at least one.

    Raises:
        DataError: A file is missing or damaged, a field that is asked for is missing, or no row
            is left.
    """
    names = {"split": split, "subset": subset, "language": language}
    if config.lines:
        files = {field: filled(path, **names) for field, path in config.lines.items()}
        found = {field: _only(_matching(root, file), file) for field, file in files.items()}
        records = _parallel_rows(found, config.encoding)
        shown = ", ".join(str(file) for file in found.values())
    else:
        pattern = filled(config.path, **names)
        files_at = _matching(root, pattern)
        records = _rows_of_files(files_at, config, filled(config.records_at, **names))
        shown = str(root / pattern)
    wanted = {
        field: {filled(value, **names) for value in ([v] if isinstance(v, str) else v)}
        for field, v in config.where.items()
    }
    rows = [TextRow(place=where, fields=record) for where, record in records]
    kept = [row for row in rows if _is_wanted(row, wanted, config.drop_empty)]
    if not kept:
        asked = "; ".join(f"{field} {' or '.join(sorted(v))}" for field, v in wanted.items())
        raise DataError(
            f"{shown}: none of {len(rows):,} rows is left, expected some"
            + (f" with {asked}" if asked else "")
        )
    return kept


def checked_text(value: Any, where: str) -> str:
    """A value as the text that a model can be given.

    Args:
        value: What a file holds.
        where: Its place, for the message.

    Returns:
        The text as it stands.

    Raises:
        DataError: It is no text, or blank, or holds a lone surrogate.
    """
    if not isinstance(value, str):
        raise DataError(f"{where} is {_shown(value)}, expected a text")
    if not value.strip():
        raise DataError(
            f"{where} is empty, expected a text",
            hint="rows without one are left out by `drop_empty`",
        )
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(f"{where} holds a lone surrogate at character {error.start}") from error
    return value


def as_label(value: Any) -> str:
    """A label as text: `1`, `1.0` and `"1"` are the same one; "" for what is none."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip() if isinstance(value, str | int | float) else ""


def _is_wanted(row: TextRow, wanted: dict[str, set[str]], drop_empty: tuple[str, ...]) -> bool:
    for field in drop_empty:
        value = row.value(field)
        if value is None or value == [] or (isinstance(value, str) and not value.strip()):
            return False
    for field, values in wanted.items():
        value = row.value(field)
        items = value if isinstance(value, list) else [value]
        if not items or not all(as_label(item) in values for item in items):
            return False
    return True


def _matching(root: Path, pattern: str) -> list[Path]:
    """The files below the root that a path or pattern names."""
    place = root / pattern
    is_pattern = any(sign in pattern for sign in "*?[")
    if is_pattern and place.is_relative_to(root):
        files = sorted(root.glob(str(place.relative_to(root))))
    else:
        files = [place]
    found = [file for file in files if file.is_file()]
    if not found:
        what = "is a folder, expected a file" if place.is_dir() else "no such file"
        raise DataError(f"{place}: {what}", hint=_HINT)
    return found


def _only(files: list[Path], pattern: str) -> Path:
    if len(files) > 1:
        raise DataError(f"{pattern}: {len(files)} files match, expected one")
    return files[0]


def _rows_of_files(
    files: list[Path], config: TextDataConfig, records_at: str
) -> Iterator[RawRecord]:
    for file in files:
        yield from file_rows(
            file,
            format=config.format,
            columns=config.columns,
            separator=config.separator,
            records_at=records_at,
            encoding=config.encoding,
        )


def _parallel_rows(files: dict[str, Path], encoding: str) -> Iterator[RawRecord]:
    """Line i of every file as one row."""
    read = {field: list(text_lines(file, encoding)) for field, file in files.items()}
    counts = {field: len(lines) for field, lines in read.items()}
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{count:,} in {files[field]}" for field, count in counts.items())
        raise DataError(f"{next(iter(files.values()))}: got {shown} lines, expected as many")
    for lines in zip(*read.values(), strict=True):
        yield (
            lines[0][0],
            {field: line for field, (_, line) in zip(read, lines, strict=True)},
        )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
