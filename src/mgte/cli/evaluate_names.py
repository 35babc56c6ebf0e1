"""Names that `mgte evaluate` makes of paths and models: of tasks, of folders for results."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mgte.evaluate.suite import Suite

# Endings of single files, where a folder is wanted.
FILES = (".json", ".html", ".md")
# What names of tasks and folders do not hold.
UNSAFE = re.compile(r"[^A-Za-z0-9._@+-]+")
_LONGEST_NAME = 60
_ENDINGS = re.compile(r"(\.(csv|tsv|jsonl?|parquet|txt|run|gz|bz2|xz|zst))+$")


def default_out(model: str, suite: "Suite") -> Path:
    """Where results go that were given no place: the same for the same model and tasks."""
    name = UNSAFE.sub("-", model.rstrip("/").rpartition("/")[2] or model).strip("-.")
    tasks = suite.name or "+".join(suite.task_names)[:_LONGEST_NAME]
    return Path("evaluation") / (name or "model") / tasks


def short_names(paths: Sequence[str]) -> list[str]:
    """The last parts of paths without endings, with as many parents as make each its own.

    Args:
        paths: Files or folders.

    Returns:
        A name per path; equal paths have equal ones.
    """
    parts = [Path(path).resolve().parts[1:] or ("data",) for path in paths]
    if len({(*one[:-1], _ENDINGS.sub("", one[-1])) for one in parts}) == len(set(parts)):
        parts = [(*one[:-1], _ENDINGS.sub("", one[-1])) for one in parts]
    for depth in range(1, max(map(len, parts), default=0) + 1):
        names = ["-".join(one[-depth:]).strip("-._") or "data" for one in parts]
        if len(set(names)) == len(set(parts)):
            break
    return names
