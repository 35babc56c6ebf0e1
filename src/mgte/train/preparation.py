"""What stages read, made before they run: prepared datasets.

The first process makes them, the others wait until they are there: folders appear whole.
"""

from collections import Counter
from pathlib import Path

from mgte.data import PreparedDataset, open_dataset, prepare_dataset
from mgte.text import Tokenizer
from mgte.train.recipe import Recipe
from mgte.train.run_folder import RunFolder
from mgte.train.run_options import RunOptions, located, wait_for
from mgte.train.teacher import load_teacher
from mgte.train.world import World

# Up to this size, prepared data is read once before training to see that no byte has changed: half
# a minute. Of larger data sizes are checked; `mgte data inspect --verify` does the rest.
_VERIFIED_BYTES = 16 << 30


def open_prepared(
    name: str, recipe: Recipe, folder: RunFolder, tokenizer: Tokenizer, options: RunOptions
) -> PreparedDataset:
    """Open the dataset that a stage names.

    Args:
        name: Entry of the recipe's `datasets`, which is prepared by now; or a prepared folder.
        recipe: The recipe.
        folder: Where prepared entries are.
        tokenizer: The tokenizer that will be used.
        options: Paths.

    Returns:
        The dataset.

    Raises:
        DataError: It is damaged, or was prepared with another tokenizer.
    """
    path = folder.dataset(name) if name in recipe.datasets else options.data_root / name
    return open_dataset(path, tokenizer=tokenizer)


def prepare_datasets(
    recipe: Recipe, folder: RunFolder, tokenizer: Tokenizer, world: World, options: RunOptions
) -> None:
    """Prepare every dataset that a stage still needs.

    Args:
        recipe: The recipe.
        folder: Where they go.
        tokenizer: The tokenizer.
        world: The processes.
        options: Paths, the teacher.

    Raises:
        ConfigError: Settings cannot work.
        DataError: A raw file cannot be read, or nothing is left of it; a prepared one is damaged.
        BackendUnavailableError: A package that the settings need is absent.
    """
    needed = [stage.data.dataset for stage in recipe.stages if not folder.is_done(stage.name)]
    for name in dict.fromkeys(needed):
        if world.is_first:
            if name in recipe.datasets:
                _prepare(name, recipe, folder.dataset(name), tokenizer, world, options)
            dataset = open_prepared(name, recipe, folder, tokenizer, options)
            options.say(f"dataset {name}: {spoken_rows(dataset)}")
            if sum(file.size_bytes for file in dataset.manifest.files) <= _VERIFIED_BYTES:
                open_dataset(dataset.path, tokenizer=tokenizer, verify=True)
        if name in recipe.datasets:
            wait_for(folder.dataset(name) / "manifest.json")


def spoken_rows(dataset: PreparedDataset) -> str:
    """How many raw rows were kept, and why others were not, in words."""
    sources = dataset.manifest.sources
    num_read = sum(source.num_read for source in sources)
    removed: Counter[str] = Counter()
    for source in sources:
        removed.update({reason: count for reason, count in source.removed.items() if count})
    reasons = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in removed.items())
    told = f"; left out: {reasons}" if reasons else ""
    return f"{dataset.num_rows:,} of {num_read:,} raw rows kept{told}"


def _prepare(
    name: str,
    recipe: Recipe,
    out: Path,
    tokenizer: Tokenizer,
    world: World,
    options: RunOptions,
) -> None:
    config = recipe.datasets[name]
    encode = None
    if not (out / "manifest.json").is_file():
        options.say(f"preparing dataset {name}")
        if config.kind == "vectors":
            teacher = located(config.teacher, options.data_root)
            if options.teacher is None:
                encode = load_teacher(teacher, device=world.device.type)
            else:
                encode = options.teacher(teacher)
    prepare_dataset(
        config,
        out,
        tokenizer=tokenizer,
        root=options.data_root,
        encode_vectors=encode,
        on_progress=options.on_progress,
    )
