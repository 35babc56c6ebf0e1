"""Files that are replaced whole and for good: a reader never sees half of one, nor does a crash.

A new file is written beside the old one, brought to the disk, and only then given its name.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def replace_file(target: Path, write: Callable[[Path], object]) -> None:
    """Write a file aside and put it in the place of `target`.

    Bytes and name are on the disk when this returns. After an error the old file is as it was.

    Args:
        target: The file; its folder exists.
        write: Writes the new content to the path that it is given.

    Raises:
        OSError: The disk is full, or the folder cannot be written.
    """
    # The same ending: some writers choose the format by it, or add it.
    handle, name = tempfile.mkstemp(
        dir=target.parent, prefix=f".{target.name}.", suffix=target.suffix
    )
    os.close(handle)
    aside = Path(name)
    try:
        write(aside)
        # mkstemp makes files private; what is made follows the user's own mask.
        aside.chmod(0o666 & ~_umask())
        flush(aside)
        aside.replace(target)
        flush(target.parent)
    finally:
        aside.unlink(missing_ok=True)


def replace_text(target: Path, text: str) -> None:
    """Write a text file, as `replace_file` does; makes its folder.

    Args:
        target: The file.
        text: Its content.

    Raises:
        OSError: The disk is full, or the folder cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    replace_file(target, lambda aside: aside.write_text(text, encoding="utf-8"))


def flush(path: Path) -> None:
    """Bring the bytes of a file to the disk; of a folder, which names are in it."""
    if os.name == "nt" and path.is_dir():  # folders cannot be opened there
        return
    descriptor = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
