"""Finished tasks on disk, each in a file of its own, and when they still count. Loads no torch."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from mgte.config import from_dict
from mgte.errors import ConfigError
from mgte.evaluate.records import FORMAT_VERSION, TaskResult
from mgte.text import replace_text

# Fields of a task's record that say where its data lies.
_PLACES = ("data", "collection", "training", "tests")
# Contents up to this size count byte by byte, larger files by size and time.
_LARGE = 64 * 2**20
_BLOCK = 2**20
_KEY_DIGITS = 8


def write_finished(folder: Path, name: str, key: str, results: Sequence[TaskResult]) -> None:
    """Keep the results of a task; the file appears whole or not at all.

    Args:
        folder: Folder of finished tasks.
        name: Name of the task.
        key: Says of what the results are, see `task_key`.
        results: The results.
    """
    values = {
        "format_version": FORMAT_VERSION,
        "key": key,
        "results": [asdict(result) for result in results],
    }
    content = json.dumps(values, ensure_ascii=False, indent=1, allow_nan=False)
    replace_text(_file(folder, name, key), content + "\n")


def read_finished(folder: Path, name: str, key: str) -> list[TaskResult] | None:
    """Results of a task that was measured before, with the same settings on the same data.

    Args:
        folder: Folder of finished tasks.
        name: Name of the task.
        key: Says of what the results must be.

    Returns:
        The results; None where there are none that count.
    """
    try:
        values = json.loads(_file(folder, name, key).read_text("utf-8"))
        if values["format_version"] != FORMAT_VERSION or values["key"] != key:
            return None
        return [from_dict(TaskResult, result) for result in values["results"]]
    except (OSError, ValueError, KeyError, TypeError, ConfigError):
        # Not there, of another version, or not ours: it is measured again.
        return None


def has_finished(folder: Path, name: str) -> bool:
    """Whether a task was ever measured, with whatever settings.

    Args:
        folder: Folder of finished tasks.
        name: Name of the task.

    Returns:
        Whether there is a file of it.
    """
    return any(folder.glob(f"{name}-{'?' * _KEY_DIGITS}.json"))


def task_key(entry: Mapping[str, Any], shared: Mapping[str, Any], root: Path) -> str:
    """Hash of all that the results of a task follow from.

    Args:
        entry: The task's record.
        shared: Model and settings.
        root: Folder from which paths of data count; what lies there counts, not where.

    Returns:
        Hexadecimal digits.
    """
    digest = sha256()
    for values in (entry, shared):
        digest.update(json.dumps(values, sort_keys=True, default=str).encode() + b"\0")
    for place in _PLACES:
        for file in sorted(set(_files(entry.get(place), root))):
            digest.update(_stamp(file, root))
    return digest.hexdigest()


def _file(folder: Path, name: str, key: str) -> Path:
    """Results of other settings lie in files of their own, so that trying one loses none."""
    return folder / f"{name}-{key[:_KEY_DIGITS]}.json"


def _files(place: Any, root: Path) -> Iterator[Path]:
    """Files that texts in a record name, directly or as patterns."""
    if isinstance(place, Mapping):
        for value in place.values():
            yield from _files(value, root)
    elif isinstance(place, list | tuple):
        for value in place:
            yield from _files(value, root)
    elif isinstance(place, str) and re.search(r"\w", place) and not place.startswith("*"):
        pattern = Path(re.sub(r"\{[^{}]*\}", "*", place))
        start = Path(pattern.anchor) if pattern.is_absolute() else root
        # A dataset by its full name may lie in a folder of its last part.
        found = _matches(start, str(pattern.relative_to(pattern.anchor)))
        for path in found or _matches(start, pattern.name):
            yield from (path.rglob("*") if path.is_dir() else [path])


def _matches(folder: Path, pattern: str) -> list[Path]:
    try:
        return list(folder.glob(pattern))
    except (ValueError, OSError):
        return []  # no pattern of files


def _stamp(file: Path, root: Path) -> bytes:
    if not file.is_file():
        return b""
    status = file.stat()
    name = file.relative_to(root) if file.is_relative_to(root) else Path(file.name)
    digest = sha256(str(name).encode("utf-8", "surrogateescape"))
    if status.st_size > _LARGE:
        digest.update(f"{status.st_size} {status.st_mtime_ns}".encode())
        return digest.digest()
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.digest()
