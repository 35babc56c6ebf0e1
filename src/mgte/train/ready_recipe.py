"""ready_recipe: a recipe that was checked with its starts, and leaves nothing open."""

from functools import cache
from pathlib import Path

from mgte.errors import BackendUnavailableError, CheckpointError
from mgte.model import EncoderConfig
from mgte.store import ModelDir, open_model
from mgte.train.checks import check_recipe
from mgte.train.recipe import Recipe
from mgte.train.run_options import located
from mgte.train.stage_output import settled_recipe


def ready_recipe(recipe: Recipe, root: Path, *, may_lack_starts: bool = False) -> Recipe:
    """Check a recipe as a whole, and settle what it takes over from the models it starts from.

    Args:
        recipe: The recipe.
        root: Folder from which paths count.
        may_lack_starts: Whether models that stages start from may be absent from this machine; a
            folder that is here is looked at in any case.

    Returns:
        The recipe; its outputs leave nothing open.

    Raises:
        ConfigError: The recipe cannot work, or a start cannot be read.
    """

    @cache
    def find(name: str) -> ModelDir | None:
        try:
            return open_model(located(name, root))
        except (BackendUnavailableError, CheckpointError):
            if not may_lack_starts or is_here(name, root):
                raise
            return None

    def look_up(name: str) -> EncoderConfig | None:
        found = find(name)
        return None if found is None else found.config

    check_recipe(recipe, root=root, look_up=look_up)
    return settled_recipe(recipe, find)


def is_here(name: str, root: Path) -> bool:
    """Whether a model's name is that of a folder on this machine."""
    return Path(located(name, root)).expanduser().is_dir()
