"""A folder that appears whole or not at all."""

import glob
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mgte.errors import DataError
from mgte.text import flush


@contextmanager
def building_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` to build in; it becomes `out` when the block ends well.

    Everything is on the disk before the folder gets its name. After an error the half-built folder
    is removed; after a kill it stays under its other name until the next build beside it.

    Args:
        out: The folder to make; absent, or empty.

    Yields:
        The folder to build in.

    Raises:
        DataError: The disk is full or cannot be written, or `out` was made by somebody else.
    """
    out = Path(out)
    prefix = f".{out.name}.partial-{socket.gethostname()}-"
    aside = out.parent / f"{prefix}{os.getpid()}"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(out.parent, prefix)
        aside.mkdir()
        try:
            yield aside
            for path in (*aside.rglob("*"), aside):
                flush(path)
            aside.rename(out)
            flush(out.parent)
        finally:
            if aside.exists():
                shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"{error.filename or out}: cannot be written ({reason})") from error


def _remove_abandoned(parent: Path, prefix: str) -> None:
    """Remove what killed processes of this machine left."""
    for path in parent.glob(f"{glob.escape(prefix)}*"):
        number = path.name.removeprefix(prefix)
        if number.isdecimal() and not _is_another_running(int(number)):
            shutil.rmtree(path, ignore_errors=True)


def _is_another_running(process: int) -> bool:
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # not ours to signal, but there
        return True
    return True
