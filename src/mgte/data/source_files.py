"""Finds the files that a path or pattern of the settings names."""

import glob
import os
from dataclasses import dataclass
from pathlib import Path

from mgte.errors import DataError
from mgte.text import file_format


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFile:
    """A file or folder that was found.

    Attributes:
        path: Where it is.
        name: Its path from the root, with `/`, so that it is the same on every machine; its whole
            path where it lies outside the root.
    """

    path: Path
    name: str


def find_files(pattern: str, root: Path) -> list[SourceFile]:
    """Files and folders that a path or glob pattern names, sorted.

    Args:
        pattern: Path or pattern (`**` for any depth), from the root or absolute.
        root: Folder from which it counts.

    Returns:
        At least one.

    Raises:
        DataError: There is none.
    """
    start = Path(os.path.abspath(root))  # noqa: PTH100 - resolve() would follow links
    whole = pattern if Path(pattern).is_absolute() else f"{glob.escape(str(start))}/{pattern}"
    found = sorted({os.path.normpath(path) for path in glob.glob(whole, recursive=True)})  # noqa: PTH207
    literal = start / pattern
    if not found and literal.exists():  # a name with brackets in it
        found = [os.path.normpath(literal)]
    if not found:
        raise DataError(
            f"{pattern}: no such file under {start}, expected at least one",
            hint="paths count from the root folder; ** stands for any depth",
        )
    return [SourceFile(path=Path(path), name=_name(Path(path), start)) for path in found]


def _name(path: Path, start: Path) -> str:
    return (path.relative_to(start) if path.is_relative_to(start) else path).as_posix()


def row_place(name: str, number: int) -> str:
    """Place of a row as messages name it: "a.jsonl:3", or "a.json[2]" in a list.

    Args:
        name: The file.
        number: Line or row, as `row_number` gives it.
    """
    return f"{name}[{number}]" if file_format(name) == "json" else f"{name}:{number}"


def row_number(name: str, place: str) -> int:
    """Line or row of a place in the file `name`."""
    return int(place.removeprefix(name).strip(":[]"))
