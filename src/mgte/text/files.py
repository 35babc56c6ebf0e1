"""Opens files of text: suffixes, compression, UTF-8, standard input; faults name their place."""

import bz2
import csv
import gzip
import importlib
import lzma
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal, cast

from mgte.errors import BackendUnavailableError, DataError

FileFormat = Literal["text", "jsonl", "json", "csv", "tsv", "parquet"]

STDIN = "-"
FORMATS: dict[str, FileFormat] = {
    ".txt": "text",
    ".text": "text",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def file_format(path: str | Path) -> FileFormat:
    """The format that a file name stands for; standard input is plain text.

    Args:
        path: Path, or "-".

    Returns:
        The format.

    Raises:
        DataError: The suffix is unknown.
    """
    if str(path) == STDIN:
        return "text"
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    if suffix not in FORMATS:
        raise DataError(
            f"{path}: unknown suffix `{suffix}`, expected one of {', '.join(FORMATS)}",
            hint="name the format with --format",
        )
    return FORMATS[suffix]


def check_file(path: str | Path) -> Path:
    """The path, if it is a file with something in it.

    Raises:
        DataError: There is no such file, it is a folder, or it is empty.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(f"{path}: is a folder, expected a file")
    if not path.exists():
        raise DataError(f"{path}: no such file")
    if path.is_file() and path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty, expected at least one row")
    return path


@contextmanager
def open_bytes(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, decompressed by its suffix; "-" is standard input.

    Args:
        path: Path, or "-".

    Yields:
        The bytes of the file.

    Raises:
        DataError: The file cannot be opened, or breaks off or is damaged while it is read.
        BackendUnavailableError: This Python cannot read .zst.
    """
    if str(path) == STDIN:
        yield sys.stdin.buffer
        return
    path = check_file(path)
    suffix = path.suffix.lower()
    try:
        with _open(path, suffix) as stream:
            yield stream
    except (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error) as error:
        raise DataError(f"{path}: damaged or cut off {suffix} file ({error})") from error
    except (OSError, ValueError) as error:
        if isinstance(error, DataError | csv.Error | UnicodeError):
            raise
        raise DataError(f"{path}: cannot be read ({error})") from error


def _open(path: Path, suffix: str) -> IO[bytes]:
    if suffix == ".gz":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    if suffix == ".bz2":
        return cast("IO[bytes]", bz2.open(path, "rb"))
    if suffix == ".xz":
        return cast("IO[bytes]", lzma.open(path, "rb"))
    if suffix == ".zst":
        try:
            zstd = importlib.import_module("compression.zstd")
        except ImportError as error:
            raise BackendUnavailableError(
                f"{path}: reading .zst needs Python 3.14 or newer",
                hint=f"decompress it first: zstd -d {path}",
            ) from error
        return cast("IO[bytes]", zstd.open(path, "rb"))
    return path.open("rb")


def read_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    r"""Lines of a UTF-8 file with their numbers, counted from 1, without their ends.

    Lines end with "\n" or "\r\n" only: a text may hold any other separator.

    Args:
        path: Path, or "-" for standard input.

    Yields:
        Line number and line.

    Raises:
        DataError: The file cannot be read, is empty, or a line is not UTF-8.
    """
    number = 0
    with open_bytes(path) as stream:
        for number, raw in enumerate(stream, start=1):
            if number == 1:
                raw = raw.removeprefix(_BYTE_ORDER_MARK)
            raw = raw.removesuffix(b"\n").removesuffix(b"\r")
            try:
                yield number, raw.decode()
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{place(path, number)}: byte {error.start} is not UTF-8 "
                    f"(0x{raw[error.start]:02x})",
                    hint="convert the file: iconv -t UTF-8",
                ) from error
    if number == 0:
        raise DataError(f"{place(path)}: the file is empty, expected at least one row")


def place(path: str | Path, line: int | None = None) -> str:
    """File, and line if there is one, as messages name them."""
    name = "<stdin>" if str(path) == STDIN else str(path)
    return name if line is None else f"{name}:{line}"
