"""RunSetting: what all stages of a run share."""

from dataclasses import dataclass

from mgte.train.recipe import Recipe
from mgte.train.run_folder import RunFolder
from mgte.train.run_options import RunOptions
from mgte.train.tokenizer_preparation import RunTokenizer
from mgte.train.world import World


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSetting:
    """What all stages of a run share.

    Attributes:
        recipe: The recipe, nothing left open.
        folder: Folder of the run.
        tokenizer: The tokenizer and its folder.
        world: The processes.
        options: What the run is given besides its recipe.
    """

    recipe: Recipe
    folder: RunFolder
    tokenizer: RunTokenizer
    world: World
    options: RunOptions
