"""RunFolder: what stands where in the folder of a run, and whether it is this recipe's.

::

    recipe.yaml       environment.json       tokenizer/       data/NAME/
    01-mlm-512/       metrics.jsonl  checkpoints/step-0010000/  model/  encoder.json  DONE
    02-mlm-2048/      ...
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mgte.config import from_dict, read_yaml, to_dict, write_yaml
from mgte.errors import ConfigError
from mgte.train.checkpoint import stage_settings
from mgte.train.initial_model import TRAINED_ENCODER
from mgte.train.recipe import Recipe, Stage

_RECIPE, _DONE, _MODEL, _LOCK = "recipe.yaml", "DONE", "model", ".lock"


class RunFolder:
    """The folder of a run.

    Args:
        path: The folder.
        recipe: The recipe.

    Attributes:
        path: The folder.
        tokenizer: Folder of a tokenizer that the run trains.
        environment: File of versions and devices.
    """

    def __init__(self, path: Path, recipe: Recipe) -> None:
        self.path = path
        self._recipe = recipe
        self.tokenizer = path / "tokenizer"
        self.environment = path / "environment.json"

    def dataset(self, name: str) -> Path:
        """Folder of a dataset that the run prepares."""
        return self.path / "data" / name

    def stage(self, name: str) -> Path:
        """Folder of a stage."""
        names = [stage.name for stage in self._recipe.stages]
        return self.path / f"{names.index(name) + 1:02d}-{name}"

    def model(self, name: str) -> Path:
        """Model folder that a stage ends in."""
        return self.stage(name) / _MODEL

    def encoder(self, name: str) -> Path:
        """File that tells a stage's encoder as it was trained."""
        return self.stage(name) / TRAINED_ENCODER

    def is_done(self, name: str) -> bool:
        """Whether a stage has ended."""
        return (self.stage(name) / _DONE).is_file()

    def done_facts(self, name: str) -> dict[str, Any]:
        """What was noted when a stage ended."""
        found: dict[str, Any] = json.loads((self.stage(name) / _DONE).read_text("utf-8"))
        return found

    def mark_done(self, name: str, facts: dict[str, Any]) -> None:
        """Note that a stage has ended; the last thing that is written of it."""
        aside = self.stage(name) / f".{_DONE}"
        aside.write_text(json.dumps(facts) + "\n", encoding="utf-8")
        aside.replace(self.stage(name) / _DONE)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other runs out of the folder; the system lets go of it when this process ends.

        Raises:
            ConfigError: Another run is at work in the folder.
        """
        try:
            import fcntl
        except ImportError:  # Windows: nothing keeps two runs apart.
            yield
            return
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / _LOCK).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConfigError(
                    f"{self.path}: another run is at work there, expected a folder of its own"
                ) from None
            yield

    def claim(self) -> None:
        """Write the recipe into the folder.

        A folder that has a recipe keeps it if its finished stages are unchanged in this one; a
        stage that is under way is checked against its checkpoint.

        Raises:
            ConfigError: The folder belongs to another run.
        """
        path = self.path / _RECIPE
        self.path.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            stored = from_dict(Recipe, read_yaml(path), str(path))
            for index, stage in enumerate(stored.stages):
                if (self.path / f"{index + 1:02d}-{stage.name}" / _DONE).is_file():
                    self._check_unchanged(index, stage, stored)
        aside = path.with_name(f".{path.name}")
        write_yaml(to_dict(self._recipe), aside)
        aside.replace(path)

    def _check_unchanged(self, index: int, before: Stage, stored: Recipe) -> None:
        hint = "train into another folder"
        names = [stage.name for stage in self._recipe.stages]
        if names[index : index + 1] != [before.name]:
            raise ConfigError(
                f"{self.path}: stage {index + 1} of the run there is {before.name!r} and is done, "
                f"expected the same in the recipe (got {', '.join(names)})",
                hint=hint,
            )
        old = stage_settings(before, stored.seed)
        new = stage_settings(self._recipe.stages[index], self._recipe.seed)
        changed = [key for key in old if old[key] != new.get(key)]
        for key in ("tokenizer", "encoder"):
            if getattr(stored, key) != getattr(self._recipe, key):
                changed.append(key)
        if changed:
            raise ConfigError(
                f"stages.{before.name}: is done in {self.path} with other settings, see "
                f"{', '.join(changed)}",
                hint=hint,
            )
