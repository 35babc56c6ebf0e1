"""Results: a JSON file with the machine and one entry per cell, kept as soon as it is measured."""

import json
from pathlib import Path
from typing import Any

from machine import describe_machine


class Results:
    """The JSON file; cells of another machine or other versions are dropped.

    Args:
        path: The file.
        extra: What else must be equal for stored cells to count, such as a GPU's name.
    """

    def __init__(self, path: Path, **extra: Any) -> None:
        self._path = path
        self.values: dict[str, Any] = {"machine": describe_machine() | extra, "cells": {}}
        if path.exists():
            stored = json.loads(path.read_text())
            if stored["machine"] == self.values["machine"]:
                self.values = stored
            else:
                print(f"{path.name}: from another machine or other versions, measuring anew")

    def store(self, name: str, value: Any) -> None:
        """Keep one entry, on the disk at once."""
        self.values["cells"][name] = value
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps(self.values, indent=1) + "\n")
        partial.replace(self._path)
