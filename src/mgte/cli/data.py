"""`mgte data`: prepare training data, look at it, train a tokenizer on it."""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgte.cli.data_report import inspect_dataset, spoken_origin
from mgte.cli.options import add_json_option, positive, progress_option
from mgte.cli.output import say, write_json
from mgte.errors import ConfigError

if TYPE_CHECKING:
    from mgte.data import DatasetConfig, EncodeVectors
    from mgte.text import Tokenizer

DESCRIPTION = (
    "Turn raw files into a folder that training reads: cleaned, without duplicates, tokenised. "
    "Look at such a folder. Train a tokenizer."
)
EXAMPLE = (
    "  mgte data prepare pairs.yaml --out prepared/pairs --tokenizer all-minilm-l6-v2\n"
    "  mgte data inspect prepared/pairs --rows 3\n"
    "  mgte data tokenizer texts.jsonl.gz --vocab-size 24000 --out my-tokenizer"
)
CONFIG_EXAMPLE = """CONFIG, for example:
  kind: pairs                   # or texts, groups, vectors
  near_duplicates: 0.8          # leave out texts or pairs that are this similar; 0: exact ones only
  exclude: [data/my-test-set]   # BEIR folders and files whose texts must not occur
  sources:
    - path: data/*.jsonl.gz
      source: manuals           # rows are drawn, and batches made, by source
      language: en              # or language_field (default: language); else it is detected
      fields: {query: question, document: answer}    # our names: the file's columns
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    actions = parser.add_subparsers(title="actions", dest="action", required=True, metavar="ACTION")
    prepare = _add_action(actions, "prepare", prepare_folder, "raw files to a prepared folder")
    prepare.formatter_class = argparse.RawDescriptionHelpFormatter
    prepare.epilog = CONFIG_EXAMPLE
    prepare.add_argument(
        "config", metavar="CONFIG", help="YAML file: one dataset, or a recipe with `datasets`"
    )
    prepare.add_argument("--out", required=True, metavar="DIR", help="folder to make")
    prepare.add_argument(
        "--tokenizer",
        required=True,
        metavar="T",
        help="folder of a tokenizer, or the model whose tokenizer is used",
    )
    prepare.add_argument("--dataset", metavar="NAME", help="which of a recipe's datasets")
    prepare.add_argument(
        "--data-root",
        metavar="DIR",
        default=".",
        help="folder from which the paths in CONFIG count (default: the current one)",
    )
    progress_option(prepare)
    add_json_option(prepare, "a summary")

    inspect = _add_action(actions, "inspect", inspect_dataset, "what is in a prepared folder")
    inspect.add_argument("folder", metavar="DIR", help="prepared folder")
    inspect.add_argument("--verify", action="store_true", help="compute all checksums as well")
    inspect.add_argument(
        "--rows", type=positive, metavar="N", help="show N rows, spread over the folder"
    )
    add_json_option(inspect, "the description")

    tokenizer = _add_action(actions, "tokenizer", train, "train a tokenizer on texts")
    tokenizer.add_argument("files", nargs="+", metavar="FILES", help="files with texts")
    tokenizer.add_argument("--out", required=True, metavar="DIR", help="folder to make")
    tokenizer.add_argument("--vocab-size", required=True, type=positive, metavar="N")
    tokenizer.add_argument(
        "--kind", choices=("unigram", "bpe", "wordpiece"), default="unigram", help="(%(default)s)"
    )
    tokenizer.add_argument("--lowercase", action="store_true", help="read capitals as small")
    tokenizer.add_argument(
        "--start-from",
        metavar="MODEL",
        help="take over entries of this model's vocabulary (kind wordpiece)",
    )
    tokenizer.add_argument(
        "--keep", type=positive, metavar="N", help="how many entries of --start-from"
    )
    tokenizer.add_argument(
        "--text-field", metavar="NAME", default="text", help='"title + text" joins two (text)'
    )
    language = tokenizer.add_mutually_exclusive_group()
    language.add_argument(
        "--language-field", metavar="NAME", help="default: `language`, else they are detected"
    )
    language.add_argument("--language", metavar="CODE", help="of all texts")
    tokenizer.add_argument(
        "--alpha",
        type=float,
        default=0.5,
        help="languages are drawn with their shares to this power (%(default)s)",
    )
    tokenizer.add_argument(
        "--max-texts", type=positive, default=500_000, metavar="N", help="(%(default)s)"
    )
    tokenizer.add_argument("--seed", type=int, default=0)
    progress_option(tokenizer)
    add_json_option(tokenizer, "a summary")


def run(arguments: argparse.Namespace) -> int:
    """Do what the action says."""
    work: Callable[[argparse.Namespace], int] = arguments.work
    return work(arguments)


def prepare_folder(arguments: argparse.Namespace) -> int:
    """`mgte data prepare`."""
    from mgte.data import prepare_dataset

    config = read_dataset_config(arguments.config, arguments.dataset)
    teacher = None
    if config.kind == "vectors":
        teacher = load_teacher(config.teacher, arguments.data_root)
    with progress_bar(arguments.progress) as advance:
        dataset = prepare_dataset(
            config,
            arguments.out,
            tokenizer=load_tokenizer(arguments.tokenizer),
            root=arguments.data_root,
            encode_vectors=teacher,
            on_progress=advance,
        )
    num_read = sum(source.num_read for source in dataset.manifest.sources)
    say(f"{dataset.num_rows:,} rows of {num_read:,} kept -> {arguments.out}")
    for source in dataset.manifest.sources:
        if not source.rows:
            say(f"nothing is left of source {source.name!r}: {source.removed}")
        elif source.languages_from:
            say(f"languages of source {source.name!r}: {spoken_origin(source.languages_from)}")
    say(f"look at it: mgte data inspect {arguments.out} --rows 3")
    if arguments.json:
        write_json(
            {
                "out": str(arguments.out),
                "kind": dataset.kind,
                "num_rows": dataset.num_rows,
                "num_read": num_read,
                "fingerprint": dataset.fingerprint,
            }
        )
    return 0


def train(arguments: argparse.Namespace) -> int:
    """`mgte data tokenizer`."""
    from mgte.data import (
        DatasetConfig,
        KeptEntries,
        SourceConfig,
        TextSample,
        read_raw_texts,
        train_tokenizer,
    )

    if (arguments.start_from is None) != (arguments.keep is None):
        raise ConfigError("--start-from: goes with --keep, expected both or none")
    kept = None
    if arguments.start_from is not None:
        kept = KeptEntries(load_tokenizer(arguments.start_from), arguments.keep)
    sources = tuple(
        SourceConfig(
            path=file,
            source=file,
            language=arguments.language or "",
            language_field=arguments.language_field or "",
            fields={"text": arguments.text_field},
        )
        for file in arguments.files
    )
    config = DatasetConfig(kind="texts", sources=sources)

    def texts(advance: Callable[[int], None]) -> Iterator[tuple[str, str]]:
        for found in read_raw_texts(config, "."):
            advance(1)
            yield found

    with progress_bar(arguments.progress) as advance:
        tokenizer = train_tokenizer(
            texts(advance),
            arguments.out,
            vocab_size=arguments.vocab_size,
            kind=arguments.kind,
            lowercase=arguments.lowercase,
            kept=kept,
            sample=TextSample(
                max_texts=arguments.max_texts, alpha=arguments.alpha, seed=arguments.seed
            ),
        )
    say(f"{tokenizer.vocab_size:,} tokens -> {arguments.out}")
    if arguments.json:
        write_json(
            {
                "out": arguments.out,
                "kind": arguments.kind,
                "vocab_size": tokenizer.vocab_size,
                "fingerprint": tokenizer.fingerprint,
            }
        )
    return 0


def read_dataset_config(path: str, name: str | None) -> "DatasetConfig":
    """The dataset of a YAML file, or one of a recipe's.

    Args:
        path: The file.
        name: Which of a recipe's datasets; None where the file is one dataset.

    Returns:
        Its settings.

    Raises:
        ConfigError: The file is no dataset, or the recipe has none of this name.
    """
    from mgte.config import from_dict, read_yaml
    from mgte.data import DatasetConfig

    values = read_yaml(path)
    datasets = values.get("datasets") if isinstance(values, dict) else None
    if not isinstance(datasets, dict):
        if name is not None:
            raise ConfigError(f"{path}: has no `datasets`, expected a recipe for --dataset {name}")
        return from_dict(DatasetConfig, values)
    if name not in datasets:
        got = "no --dataset" if name is None else f"--dataset {name}"
        raise ConfigError(f"{path}: got {got}, expected one of {', '.join(datasets) or 'none'}")
    return from_dict(DatasetConfig, datasets[name], f"datasets.{name}")


def load_tokenizer(name: str) -> "Tokenizer":
    """The tokenizer of a folder, or that of a model."""
    from mgte.text import Tokenizer

    folder = Path(name)
    if (folder / "tokenizer.json").is_file() and not (folder / "config.json").is_file():
        return Tokenizer.load(folder)
    from mgte.store import open_model

    opened = open_model(name)
    return Tokenizer.load(opened.path, lowercase=opened.settings.lowercase)


def load_teacher(name: str, root: str) -> "EncodeVectors":
    """The model that makes the vectors of kind "vectors", as `mgte train` finds and runs it."""
    from mgte.train import load_teacher as load

    folder = Path(root) / name
    return load(str(folder) if name and folder.is_dir() else name)


@contextmanager
def progress_bar(show: bool | None) -> Iterator[Callable[[int], None]]:
    """A bar of raw rows; the default draws it on a terminal only."""
    from tqdm import tqdm

    is_hidden = not sys.stderr.isatty() if show is None else not show
    with tqdm(unit=" rows", disable=is_hidden, leave=False) as bar:

        def advance(number: int) -> None:
            bar.update(number)

        yield advance


def _add_action(
    actions: Any, name: str, work: Callable[[argparse.Namespace], int], summary: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name, help=summary, description=f"{summary.capitalize()}.", allow_abbrev=False
    )
    parser.set_defaults(work=work)
    # As the command itself has it; here it must not undo what was said there.
    parser.add_argument(
        "--traceback", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS
    )
    return parser
