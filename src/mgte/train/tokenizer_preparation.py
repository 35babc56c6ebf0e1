"""The tokenizer of a run: found, or trained on the recipe's own texts by the first process.

Beside a trained one stands `settings.json`: what it was trained by. A run that goes on with other
settings is refused instead of keeping the old tokenizer in silence.
"""

import json
import shutil
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from mgte.config import to_dict
from mgte.data import KeptEntries, TextSample, read_raw_texts, train_tokenizer
from mgte.errors import CheckpointError, ConfigError, DataError
from mgte.store import open_model
from mgte.text import Tokenizer
from mgte.train.differences import differences, spoken_differences
from mgte.train.input_files import input_sizes
from mgte.train.recipe import Recipe, TokenizerConfig
from mgte.train.run_folder import RunFolder
from mgte.train.run_options import RunOptions, located, wait_for
from mgte.train.world import World

SETTINGS_FILE = "settings.json"
_TOKENIZER_FILE = "tokenizer.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunTokenizer:
    """The tokenizer of a run.

    Attributes:
        tokenizer: The tokenizer.
        folder: Its folder.
        lowercase: Whether texts are lowered before it, which its files do not say.
    """

    tokenizer: Tokenizer
    folder: Path
    lowercase: bool = False


def prepare_tokenizer(
    recipe: Recipe, folder: RunFolder, world: World, options: RunOptions
) -> RunTokenizer:
    """Find or train the recipe's tokenizer.

    Args:
        recipe: The recipe.
        folder: Where a trained one goes.
        world: The processes.
        options: Paths.

    Returns:
        The tokenizer.

    Raises:
        ConfigError: Settings cannot work, or are not those of the tokenizer that is there.
        CheckpointError: There is no such tokenizer.
        DataError: There is too little text to train one.
    """
    wanted = recipe.tokenizer
    if not isinstance(wanted, TokenizerConfig):
        return _found(located(wanted or recipe.stages[0].init_from, options.data_root))
    if world.is_first:
        if (folder.tokenizer / _TOKENIZER_FILE).is_file():
            _check_settings(recipe, wanted, folder, options.data_root)
        else:
            options.say(f"training a tokenizer of {wanted.vocab_size:,} entries")
            _train(recipe, wanted, folder, options.data_root)
    wait_for(folder.tokenizer / _TOKENIZER_FILE)
    return RunTokenizer(tokenizer=Tokenizer.load(folder.tokenizer), folder=folder.tokenizer)


def _found(name: str) -> RunTokenizer:
    """The tokenizer of a model, or of a folder with nothing but a tokenizer."""
    path = Path(name)
    try:
        opened = open_model(name)
    except (CheckpointError, ConfigError):
        if not path.is_dir():
            raise
        return RunTokenizer(tokenizer=Tokenizer.load(path), folder=path)
    lowercase = opened.settings.lowercase
    return RunTokenizer(
        tokenizer=Tokenizer.load(opened.path, lowercase=lowercase),
        folder=opened.path,
        lowercase=lowercase,
    )


def _train(recipe: Recipe, wanted: TokenizerConfig, folder: RunFolder, root: Path) -> None:
    """Train aside, settings included; the folder appears whole."""
    if folder.tokenizer.is_dir() and any(folder.tokenizer.iterdir()):
        raise DataError(f"{folder.tokenizer}: has no {_TOKENIZER_FILE}, expected an empty folder")
    aside = folder.tokenizer.with_name(f".{folder.tokenizer.name}")
    shutil.rmtree(aside, ignore_errors=True)
    settings = _settings(recipe, wanted, root)
    train_tokenizer(
        chain.from_iterable(
            read_raw_texts(recipe.datasets[name], root) for name in wanted.datasets
        ),
        aside,
        vocab_size=wanted.vocab_size,
        kind=wanted.kind,
        lowercase=wanted.lowercase,
        kept=_kept_entries(wanted, root),
        sample=TextSample(max_texts=wanted.max_texts, alpha=wanted.alpha, seed=recipe.seed),
    )
    text = json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
    (aside / SETTINGS_FILE).write_text(text, encoding="utf-8")
    aside.replace(folder.tokenizer)


def _kept_entries(wanted: TokenizerConfig, root: Path) -> KeptEntries | None:
    if not wanted.start_from:
        return None
    found = _found(located(wanted.start_from, root))
    return KeptEntries(found.tokenizer, wanted.keep)


def _settings(recipe: Recipe, wanted: TokenizerConfig, root: Path) -> dict[str, Any]:
    """All that decides what a trained tokenizer becomes, as JSON gives it back."""
    return {
        "tokenizer": to_dict(wanted),
        "seed": recipe.seed,
        "datasets": {name: to_dict(recipe.datasets[name]) for name in wanted.datasets},
        "files": {name: input_sizes(recipe.datasets[name], root) for name in wanted.datasets},
    }


def _check_settings(recipe: Recipe, wanted: TokenizerConfig, folder: RunFolder, root: Path) -> None:
    path = folder.tokenizer / SETTINGS_FILE
    if not path.is_file():
        return  # trained before settings were noted
    before = json.loads(path.read_text("utf-8"))
    now = _settings(recipe, wanted, root)
    files = now["files"]
    # A machine that goes on with prepared data need not have the raw files.
    now["files"] = {name: files[name] or before["files"].get(name) for name in files}
    found = differences(before, now)
    if found:
        raise ConfigError(
            f"tokenizer: {folder.tokenizer} was trained with other settings: "
            f"{spoken_differences(found)}",
            hint="go back to the old values, or train into another --out",
        )
