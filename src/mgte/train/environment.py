"""Facts about the machine and the versions of a run, written beside it."""

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from mgte._version import __version__
from mgte.text import replace_text
from mgte.train.world import World

_PACKAGES = ("numpy", "tokenizers", "safetensors", "pyarrow", "torch-optimi", "peft")


def describe_environment(world: World) -> dict[str, Any]:
    """Versions, commit and devices.

    Args:
        world: The processes.

    Returns:
        Plain values.
    """
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    device = platform.machine()
    if world.device.type == "cuda":
        device = torch.cuda.get_device_name(world.device)
    return {
        "mgte": __version__,
        "commit": _commit(),
        "versions": versions,
        "platform": platform.platform(),
        "device": device,
        "processes": world.size,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "command": sys.argv[1:],
    }


def note_environment(path: Path, world: World) -> None:
    """Append what `describe_environment` says to a list in a JSON file, if it is something new.

    Args:
        path: The file: sessions of the run, oldest first; what stands there stays.
        world: The processes.
    """
    sessions: list[dict[str, Any]] = []
    if path.is_file():
        try:
            found = json.loads(path.read_bytes())
        except ValueError:
            found = []
        # Earlier versions kept the last session only, and not in a list.
        sessions = found if isinstance(found, list) else [found]
    now = describe_environment(world)
    last = sessions[-1] if sessions else {}
    if {key: last.get(key) for key in now} == now:
        return
    stamp = datetime.now(UTC).isoformat(timespec="seconds")
    replace_text(path, json.dumps([*sessions, {**now, "since": stamp}], indent=2) + "\n")


def _commit() -> str:
    """Commit of the package's own repository; empty where it was installed without one."""
    here = Path(__file__).parent
    if not any((parent / ".git").exists() for parent in here.parents[:4]):
        return ""
    command = ["git", "-C", str(here), "rev-parse", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip()
