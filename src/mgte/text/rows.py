"""Reads rows with named fields from plain text, JSONL, JSON, CSV, TSV and Parquet, alike."""

import csv
import importlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mgte.errors import BackendUnavailableError, DataError
from mgte.text.checks import find_surrogate, surrogate_error
from mgte.text.files import (
    STDIN,
    FileFormat,
    check_file,
    file_format,
    open_bytes,
    place,
    read_lines,
)
from mgte.text.records import Row

ID_FIELDS = ("_id", "id", "doc_id", "query_id")

# One row of a file before its fields are checked: its place and what stands there.
RawRecord = tuple[str, Any]


def read_rows(
    path: str | Path,
    *,
    fields: Sequence[str] = ("text",),
    optional: Sequence[str] = (),
    id_field: str | None = None,
    format: FileFormat | None = None,
    allow_empty: bool = False,
) -> Iterator[Row]:
    """Read the rows of a file one after another.

    Plain text has one text per line; an empty line is an empty text, so that line and row numbers
    stay the same. JSONL and JSON hold objects, or strings where one field is asked for. CSV and
    TSV start with a line of column names; TSV knows no quotes. Compressed text (.gz, .bz2, .xz,
    .zst) is read as such.

    Args:
        path: Path, or "-" for standard input.
        fields: Fields that every row has, not empty.
        optional: Fields that are "" where a row lacks them.
        id_field: Field with the id; None takes the first of `ID_FIELDS` that a row has, else the
            number of the row.
        format: Format; None takes it from the suffix, and plain text for standard input.
        allow_empty: Whether fields may be empty.

    Yields:
        Rows in file order.

    Raises:
        DataError: The file cannot be read, holds no row, or a row is not as described.
        BackendUnavailableError: The package that reads Parquet is absent.
    """
    format = format or file_format(path)
    wanted = [*fields, *optional, *([id_field] if id_field else ID_FIELDS)]
    records = read_records(path, format=format, columns=wanted)
    number = 0
    for number, (where, record) in enumerate(records, start=1):
        if isinstance(record, str) and len(fields) == 1:
            is_line = format == "text"
            text = _check_field(where, fields[0], record, allow_empty or is_line)
            values, row_id = {fields[0]: text}, None
            values.update((name, "") for name in optional)
        elif isinstance(record, dict):
            values = {n: _read_field(where, record, n, allow_empty) for n in fields}
            for name in optional:
                has_value = record.get(name) is not None
                values[name] = _read_field(where, record, name, True) if has_value else ""
            row_id = _read_id(where, record, id_field)
        else:
            expected = f"an object with {', '.join(f'`{name}`' for name in fields)}"
            raise DataError(f"{where}: got {_kind(record)}, expected {expected}")
        yield Row(row_id=str(number) if row_id is None else row_id, fields=values, place=where)
    if number == 0:
        raise DataError(f"{place(path)}: holds no rows, expected at least one")


def read_records(
    path: str | Path, *, format: FileFormat | None = None, columns: Sequence[str] | None = None
) -> Iterator[RawRecord]:
    """Read the rows of a file as they stand there, whatever they hold: lists, numbers, nothing.

    Args:
        path: Path, or "-" for standard input.
        format: Format; None takes it from the suffix.
        columns: Columns that a Parquet file is read for; None reads all. Other formats are read
            whole.

    Returns:
        Place of each row ("data/pairs.jsonl:1841") and its content: a string in plain text, else
        mostly a dict by field name.

    Raises:
        DataError: The format is unknown; while iterating: the file cannot be read, or a row
            cannot be parsed.
        BackendUnavailableError: The package that reads Parquet is absent.
    """
    format = format or file_format(path)
    if format == "text":
        return ((place(path, number), line) for number, line in read_lines(path))
    if format == "jsonl":
        return _read_json_lines(path)
    if format == "json":
        return _read_json(path)
    if format == "parquet":
        return _read_parquet(path, columns)
    if format in ("csv", "tsv"):
        return _read_columns(path, format)
    raise DataError(f"format: got {format!r}, expected one of text, jsonl, json, csv, tsv, parquet")


def _read_json_lines(path: str | Path) -> Iterator[RawRecord]:
    for number, line in read_lines(path):
        if line and not line.isspace():
            where = place(path, number)
            yield where, parse_json(line, where)


def parse_json(text: str | bytes, where: str) -> Any:
    """Parse JSON that stands at `where`.

    Raises:
        DataError: It is no JSON.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not JSON at character {error.pos} ({error.msg})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: byte {error.start} is not UTF-8") from error
    except (RecursionError, ValueError) as error:
        raise DataError(f"{where}: not readable as JSON ({error})") from error


def _read_json(path: str | Path) -> Iterator[RawRecord]:
    with open_bytes(path) as stream:
        text = stream.read()
    # Many data sets hold one object per line under this suffix.
    if path != "-" and _is_one_object_per_line(text):
        yield from _read_json_lines(path)
        return
    content = parse_json(text, place(path))
    if not isinstance(content, list):
        raise DataError(
            f"{place(path)}: got {_kind(content)}, expected a list of rows",
            hint="one object per line is the format jsonl",
        )
    for index, record in enumerate(content):
        yield f"{place(path)}[{index}]", record


def _is_one_object_per_line(text: bytes) -> bool:
    lines = [line for line in text.split(b"\n", 2)[:2] if line.strip()]
    return len(lines) == 2 and all(line.strip().startswith(b"{") for line in lines)


def _read_columns(path: str | Path, format: FileFormat) -> Iterator[RawRecord]:
    last = 0

    def lines() -> Iterator[str]:
        nonlocal last
        for number, line in read_lines(path):
            last = number
            yield line + "\n"

    # The limit guards against unclosed quotes; a text of several megabytes is no fault here.
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    is_tsv = format == "tsv"
    reader = csv.reader(
        lines(),
        delimiter="\t" if is_tsv else ",",
        quoting=csv.QUOTE_NONE if is_tsv else csv.QUOTE_MINIMAL,
        strict=True,
    )
    header: list[str] | None = None
    first = 1
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise DataError(f"{place(path, first)}: not readable as {format} ({error})") from error
        where, first = place(path, first), last + 1
        if row is None:
            return
        if not row:
            continue
        if header is None:
            header = row
        elif len(row) != len(header):
            raise DataError(f"{where}: got {len(row)} columns, expected {len(header)}")
        else:
            yield where, dict(zip(header, row, strict=True))


def _read_parquet(path: str | Path, wanted: Sequence[str] | None) -> Iterator[RawRecord]:
    parquet = import_parquet(path)
    if str(path) == STDIN:
        raise DataError("<stdin>: Parquet cannot be read from standard input, expected a path")
    try:
        with parquet.ParquetFile(check_file(path)) as file:
            names = file.schema_arrow.names
            if wanted is not None:
                names = [name for name in names if name in wanted]
            number = 0
            for batch in file.iter_batches(columns=names, batch_size=1024):
                for record in batch.to_pylist():
                    number += 1
                    yield f"{place(path)}:{number}", record
    except DataError:
        raise
    except (OSError, ValueError) as error:  # pyarrow's own errors are of these kinds
        raise DataError(f"{path}: not readable as Parquet ({error})") from error


def import_parquet(path: str | Path) -> Any:
    """The module that reads and writes Parquet.

    Raises:
        BackendUnavailableError: pyarrow is not installed.
    """
    try:
        return importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise BackendUnavailableError(
            f"{path}: Parquet needs the package pyarrow",
            hint="pip install 'mgte[files]'",
        ) from error


def _read_field(where: str, record: dict[str, Any], name: str, allow_empty: bool) -> str:
    if name not in record:
        raise DataError(f"{where}: no field `{name}`; fields: {_names(record)}")
    return _check_field(where, name, record[name], allow_empty)


def _check_field(where: str, name: str, value: Any, allow_empty: bool) -> str:
    if not isinstance(value, str):
        raise DataError(f"{where}: field `{name}` is {_kind(value)}, expected a string")
    if not value and not allow_empty:
        raise DataError(f"{where}: field `{name}` is empty")
    if not value.isascii():
        position = find_surrogate(value)
        if position is not None:
            raise surrogate_error(f"{where}: field `{name}`", value, position)
    return value


def _read_id(where: str, record: dict[str, Any], id_field: str | None) -> str | None:
    for name in (id_field,) if id_field else ID_FIELDS:
        value = record.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if value is not None:
            return _check_field(where, name, value, False)
    if id_field:
        raise DataError(f"{where}: no field `{id_field}`; fields: {_names(record)}")
    return None


def _names(record: Iterable[str]) -> str:
    names = list(record)
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more if names else "none"


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    if value is None:
        return "null"
    return kinds.get(type(value), "a number" if isinstance(value, int | float) else "no string")
