"""Where the data of tasks lies: below one root, which the user names. Loads no torch."""

import os
from pathlib import Path
from typing import Any

from mgte.errors import ConfigError, DataError

DATA_ROOT = "MGTE_DATA"


def data_root(given: str | Path | None = None) -> Path:
    """The folder from which paths of data count.

    Args:
        given: What the user asked for; None means the environment's `MGTE_DATA`, or else the
            working folder.

    Returns:
        The folder.

    Raises:
        DataError: It is not there.
    """
    root = Path(given if given is not None else os.environ.get(DATA_ROOT, "."))
    if not root.is_dir():
        raise DataError(
            f"{root}: no such folder, expected the root of the data",
            hint=f"pass --data-root, or set {DATA_ROOT}",
        )
    return root


def existing_path(root: Path, data: str, task: str) -> Path:
    """Where the data of a task lies.

    Args:
        root: Folder from which paths of data count.
        data: Path below it, or an absolute one.
        task: Name of the task, for the message.

    Returns:
        The path; it exists.

    Raises:
        DataError: It does not.
    """
    path = root / data
    if not path.exists():
        raise DataError(
            f"{task}: {path} is not there, expected the task's data",
            hint=f"paths count from --data-root, or from {DATA_ROOT}",
        )
    return path


def check_limits(config: Any) -> None:
    """Refuse negative numbers of queries or documents.

    Args:
        config: A record with `max_queries` and `max_documents`.

    Raises:
        ConfigError: One of them is below 0.
    """
    for name in ("max_queries", "max_documents"):
        if getattr(config, name) < 0:
            raise ConfigError(f"{name}: got {getattr(config, name)}, expected 0 (all) or more")
