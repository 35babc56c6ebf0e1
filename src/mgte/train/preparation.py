"""What stages read, made before they run: the tokenizer, and prepared datasets.

The first process makes them, the others wait until they are there: folders appear whole.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from mgte.data import (
    EncodeVectors,
    KeptEntries,
    PreparedDataset,
    TextSample,
    open_dataset,
    prepare_dataset,
    read_raw_texts,
    train_tokenizer,
)
from mgte.errors import ConfigError
from mgte.store import open_model
from mgte.text import Tokenizer
from mgte.train.recipe import Recipe, TokenizerConfig
from mgte.train.run_folder import RunFolder
from mgte.train.stage_parts import Evaluator, Sink
from mgte.train.world import World

_POLL_SECONDS = 0.5
# Up to this size, prepared data is read once before training to see that no byte has changed: half
# a minute. Of larger data sizes are checked; `mgte data inspect --verify` does the rest.
_VERIFIED_BYTES = 16 << 30


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOptions:
    """What a run is given besides its recipe.

    Attributes:
        data_root: Folder from which paths of the recipe count.
        sinks: Where the log goes, beside each stage's `metrics.jsonl`; the first process only.
        evaluators: What is measured in stages that ask for it: from a model folder to scores.
        teacher: From the name of a teacher to what makes its vectors, for datasets of kind
            "vectors".
        report: Told what goes on outside stages.
        on_progress: Told how many raw rows were read since the last call.
    """

    data_root: Path = field(default_factory=Path)
    sinks: Sequence[Sink] = ()
    evaluators: Sequence[Evaluator] = ()
    teacher: Callable[[str], EncodeVectors] | None = None
    report: Callable[[str], None] | None = None
    on_progress: Callable[[int], None] | None = None

    def say(self, text: str) -> None:
        """Report something."""
        if self.report is not None:
            self.report(text)


def prepare_tokenizer(
    recipe: Recipe, folder: RunFolder, world: World, options: RunOptions
) -> tuple[Tokenizer, Path]:
    """Find or train the recipe's tokenizer.

    Args:
        recipe: The recipe.
        folder: Where a trained one goes.
        world: The processes.
        options: Paths.

    Returns:
        The tokenizer, and its folder.

    Raises:
        ConfigError: Settings cannot work.
        CheckpointError: There is no such tokenizer.
        DataError: There is too little text to train one.
    """
    wanted = recipe.tokenizer
    if not isinstance(wanted, TokenizerConfig):
        path = located(wanted or recipe.stages[0].init_from, options.data_root)
        # A folder with nothing but a tokenizer is enough; a name is that of a model.
        found = Path(path) if Path(path).is_dir() else open_model(path).path
        return Tokenizer.load(found), found
    if world.is_first and not (folder.tokenizer / "tokenizer.json").is_file():
        options.say(f"training a tokenizer of {wanted.vocab_size:,} entries")
        train_tokenizer(
            chain.from_iterable(
                read_raw_texts(recipe.datasets[name], options.data_root) for name in wanted.datasets
            ),
            folder.tokenizer,
            vocab_size=wanted.vocab_size,
            kind=wanted.kind,
            lowercase=wanted.lowercase,
            kept=_kept_entries(wanted, options.data_root),
            sample=TextSample(max_texts=wanted.max_texts, alpha=wanted.alpha, seed=recipe.seed),
        )
    _wait_for(folder.tokenizer / "tokenizer.json")
    return Tokenizer.load(folder.tokenizer), folder.tokenizer


def _kept_entries(wanted: TokenizerConfig, root: Path) -> KeptEntries | None:
    if not wanted.start_from:
        return None
    folder = open_model(located(wanted.start_from, root)).path
    return KeptEntries(Tokenizer.load(folder), wanted.keep)


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
                _prepare(name, recipe, folder.dataset(name), tokenizer, options)
            dataset = open_prepared(name, recipe, folder, tokenizer, options)
            if sum(file.size_bytes for file in dataset.manifest.files) <= _VERIFIED_BYTES:
                open_dataset(dataset.path, tokenizer=tokenizer, verify=True)
        if name in recipe.datasets:
            _wait_for(folder.dataset(name) / "manifest.json")


def located(name: str, root: Path) -> str:
    """A path below the root where there is one, else the name as it is."""
    return str(root / name) if (root / name).is_dir() else name


def _prepare(
    name: str, recipe: Recipe, out: Path, tokenizer: Tokenizer, options: RunOptions
) -> None:
    config = recipe.datasets[name]
    is_there = (out / "manifest.json").is_file()
    encode = None
    if config.kind == "vectors" and not is_there:
        if options.teacher is None:
            raise ConfigError(
                f"datasets.{name}.teacher: nobody was passed in who runs {config.teacher!r}",
                hint="prepare the dataset with `mgte data prepare`, or run `mgte train`",
            )
        encode = options.teacher(located(config.teacher, options.data_root))
    if not is_there:
        options.say(f"preparing dataset {name}")
    prepare_dataset(
        config,
        out,
        tokenizer=tokenizer,
        root=options.data_root,
        encode_vectors=encode,
        on_progress=options.on_progress,
    )


def _wait_for(file: Path) -> None:
    """Wait until the first process has made a file. No barrier: this may take hours."""
    while not file.is_file():
        time.sleep(_POLL_SECONDS)
