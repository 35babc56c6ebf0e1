"""Rows of files that plain readers cannot know: no header, foreign separators, old encodings."""

import bz2
import csv
import gzip
import json
import lzma
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, cast

from mgte.errors import ConfigError, DataError
from mgte.text import FileFormat, RawRecord, file_format, read_records

_OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def text_lines(path: Path, encoding: str = "utf-8") -> Iterator[tuple[str, str]]:
    """Lines of a file, decompressed by its suffix.

    Args:
        path: The file.
        encoding: Its encoding.

    Yields:
        Place ("labels.txt:12") and line, without its end.

    Raises:
        DataError: The file cannot be read, is empty, or is of another encoding.
    """
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
        for where, line in read_records(path, format="text"):
            yield where, str(line)
        return
    number = 0
    try:
        opener = _OPENERS.get(path.suffix.lower(), Path.open)
        with cast("IO[bytes]", opener(path, "rb")) as stream:
            for number, raw in enumerate(stream, start=1):
                text = raw.removesuffix(b"\n").removesuffix(b"\r").decode(encoding)
                yield f"{path}:{number}", text
    except UnicodeDecodeError as error:
        raise DataError(f"{path}:{number}: byte {error.start} is not {encoding}") from error
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    if number == 0:
        raise DataError(f"{path}: the file is empty, expected at least one row")


def file_rows(
    path: Path,
    *,
    format: FileFormat | None = None,
    columns: Sequence[str] = (),
    separator: str = "",
    records_at: str = "",
    encoding: str = "utf-8",
) -> Iterator[RawRecord]:
    """Rows of one file.

    Args:
        path: The file.
        format: Format; None takes it from the suffix.
        columns: Names of columns, where the file does not name them.
        separator: What stands between columns.
        records_at: Key of the list of rows in a JSON object.
        encoding: Encoding of text.

    Yields:
        Place and fields of each row.

    Raises:
        DataError: The file cannot be read, or a row is not as described.
        ConfigError: The settings do not suit the format.
    """
    format = format or file_format(path)
    if records_at and format != "json":
        raise ConfigError(f"records_at: {path} is read as {format}, expected json")
    if format == "text" or (format in ("csv", "tsv") and (columns or separator)):
        yield from _separated(path, format, columns, separator, encoding)
        return
    if separator:
        raise ConfigError(f"separator: {path} is read as {format}, expected text, csv or tsv")
    records = _json_list(path, records_at) if records_at else read_records(path, format=format)
    for where, record in records:
        yield where, _named(record, columns, where)


def _separated(
    path: Path, format: FileFormat, columns: Sequence[str], separator: str, encoding: str
) -> Iterator[RawRecord]:
    lines = text_lines(path, encoding)
    if format == "text":
        yield from _split_lines(lines, columns, separator)
        return
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    last = ""

    def contents() -> Iterator[str]:
        nonlocal last
        for where, line in lines:
            last = where
            yield line + "\n"

    is_plain = format == "tsv" and not separator
    reader = csv.reader(
        contents(),
        delimiter=separator or ("\t" if format == "tsv" else ","),
        quoting=csv.QUOTE_NONE if is_plain else csv.QUOTE_MINIMAL,
        strict=True,
    )
    names = list(columns)
    try:
        for row in reader:
            if not row:
                continue
            if not names:
                names = row
                continue
            yield last, _named(row, names, last)
    except csv.Error as error:
        raise DataError(f"{last}: not readable as {format} ({error})") from error


def _split_lines(
    lines: Iterator[tuple[str, str]], columns: Sequence[str], separator: str
) -> Iterator[RawRecord]:
    if not columns:
        columns = ("text",)
    for where, line in lines:
        cells = line.split(separator, len(columns) - 1) if separator else [line]
        yield where, _named(cells, columns, where)


def _named(record: Any, columns: Sequence[str], where: str) -> dict[str, Any]:
    """Fields by name."""
    if isinstance(record, dict):
        return record
    if not isinstance(record, list) or not columns:
        expected = "an object" if not columns else f"a list of {', '.join(columns)}"
        raise DataError(f"{where}: got {type(record).__name__}, expected {expected}")
    if len(record) != len(columns):
        raise DataError(f"{where}: got {len(record)} columns, expected {len(columns)}")
    return dict(zip(columns, record, strict=True))


def _json_list(path: Path, key: str) -> Iterator[RawRecord]:
    text = "\n".join(line for _, line in text_lines(path))
    try:
        content = json.loads(text)
    except ValueError as error:
        raise DataError(f"{path}: is no JSON ({error})") from error
    rows = content.get(key) if isinstance(content, dict) else None
    if not isinstance(rows, list):
        known = ", ".join(list(content)[:8]) if isinstance(content, dict) else "no object"
        raise DataError(f"{path}: has no list `{key}`; got {known}")
    for index, record in enumerate(rows):
        yield f"{path}:{key}[{index}]", record
