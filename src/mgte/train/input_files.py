"""Raw files of datasets: by size, for what a tokenizer was trained on; and which are not here."""

import glob
from pathlib import Path

from mgte.data import DatasetConfig


def found_files(pattern: str, root: Path) -> list[Path]:
    """Files and folders that a path or glob pattern names, sorted; none if there is none."""
    start = root.absolute()
    whole = pattern if Path(pattern).is_absolute() else f"{glob.escape(str(start))}/{pattern}"
    found = sorted({Path(path) for path in glob.glob(whole, recursive=True)})  # noqa: PTH207
    literal = start / pattern
    return found or ([literal] if literal.exists() else [])


def absent_inputs(config: DatasetConfig, root: Path) -> list[str]:
    """Paths and patterns of a dataset that name no file on this machine."""
    wanted = [*(source.path for source in config.sources), *config.exclude]
    return [pattern for pattern in dict.fromkeys(wanted) if not found_files(pattern, root)]


def input_sizes(config: DatasetConfig, root: Path) -> dict[str, int]:
    """Sizes in bytes of all files that a dataset reads or leaves out, by path from the root."""
    start, sizes = root.absolute(), {}
    for pattern in (*(source.path for source in config.sources), *config.exclude):
        for path in found_files(pattern, root):
            inside = sorted(path.rglob("*")) if path.is_dir() else [path]
            for file in filter(Path.is_file, inside):
                name = file.relative_to(start) if file.is_relative_to(start) else file
                sizes[name.as_posix()] = file.stat().st_size
    return sizes
