"""RunFolder: what stands where in the folder of a run, and whether it is this recipe's.

::

    recipe.yaml       environment.json       tokenizer/       data/NAME/
    01-mlm-512/       metrics.jsonl  checkpoints/step-0010000/  model/  encoder.json  DONE
    02-mlm-2048/      ...
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from mgte.config import from_dict, read_yaml, to_dict, write_yaml
from mgte.errors import ConfigError
from mgte.text import replace_file
from mgte.train.checkpoint import (
    CHECKPOINTS,
    Identity,
    check_identity,
    newest_identity,
    stage_settings,
)
from mgte.train.differences import differences, spoken_differences
from mgte.train.initial_model import SCRATCH, TRAINED_ENCODER
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

    def check(self) -> None:
        """Compare the recipe with what the folder holds already; nothing is written.

        Finished stages must be unchanged, and one that is under way must be that of its newest
        checkpoint, as far as settings tell.

        Raises:
            ConfigError: The folder belongs to another run.
        """
        path = self.path / _RECIPE
        if path.is_file():
            stored = from_dict(Recipe, read_yaml(path), str(path))
            for index, stage in enumerate(stored.stages):
                if (self.path / f"{index + 1:02d}-{stage.name}" / _DONE).is_file():
                    self._check_unchanged(index, stage, stored)
        for stage in self._recipe.stages:
            if not self.is_done(stage.name):
                settings = stage_settings(stage, self._recipe.seed)
                if stage.init_from == SCRATCH:
                    settings["scratch"] = to_dict(self._recipe.encoder)
                self.check_under_way(stage, Identity(settings=settings, plan="", dataset=""))

    def check_under_way(self, stage: Stage, identity: Identity) -> None:
        """Compare a stage with its newest checkpoint; settings that are not given are not compared.

        Args:
            stage: The stage.
            identity: What is known of it; an empty plan or dataset is not compared.

        Raises:
            ConfigError: The checkpoint is another run's.
        """
        found = newest_identity(self.stage(stage.name) / CHECKPOINTS)
        if found is not None:
            stored, step = found
            kept = {
                key: value for key, value in stored.settings.items() if key in identity.settings
            }
            check_identity(replace(stored, settings=kept), identity, stage.name, step)

    def write_recipe(self) -> None:
        """Write the recipe into the folder."""
        path = self.path / _RECIPE
        self.path.mkdir(parents=True, exist_ok=True)
        replace_file(path, lambda aside: write_yaml(to_dict(self._recipe), aside))

    def _check_unchanged(self, index: int, before: Stage, stored: Recipe) -> None:
        hint = "go back to the old value, or train into another folder"
        names = [stage.name for stage in self._recipe.stages]
        if names[index : index + 1] != [before.name]:
            raise ConfigError(
                f"{self.path}: stage {index + 1} of the run there is {before.name!r} and is done, "
                f"expected the same in the recipe (got {', '.join(names)})",
                hint=hint,
            )
        stage = self._recipe.stages[index]
        found = differences(_decisive(before, stored), _decisive(stage, self._recipe))
        if found:
            raise ConfigError(
                f"stages.{before.name}: is done in {self.path} with other settings: "
                f"{spoken_differences(found)}",
                hint=hint,
            )


def _decisive(stage: Stage, recipe: Recipe) -> dict[str, Any]:
    """Everything that a finished stage came from, by the keys of the recipe."""
    settings = stage_settings(stage, recipe.seed)
    settings["output"] = to_dict(stage.output)
    settings["data"]["dataset"] = name = stage.data.dataset
    seed = settings.pop("seed")
    datasets = {name: to_dict(recipe.datasets[name])} if name in recipe.datasets else {}
    return {
        "seed": seed,
        "tokenizer": to_dict(recipe.tokenizer),
        "encoder": to_dict(recipe.encoder),
        "stages": {stage.name: settings},
        "datasets": datasets,
    }
