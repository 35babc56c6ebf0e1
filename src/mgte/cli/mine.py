"""`mgte mine`: hard negatives for query-document pairs."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mgte.cli.options import add_json_option, add_load_options, load_settings, positive
from mgte.cli.options import progress_option as add_progress_option
from mgte.cli.output import say, write_json
from mgte.errors import ConfigError, DataError

if TYPE_CHECKING:
    from mgte.search import Mined, Teacher
    from mgte.text import TrainingGroup

DESCRIPTION = (
    "For every query, find documents that a model takes for answers and that are none. Reads pairs "
    "or groups (JSONL, CSV, TSV, Parquet), prepared folders or BEIR folders; writes groups with "
    "positives, negatives and their scores, ready for `kind: groups` of a recipe's datasets."
)
EXAMPLE = (
    "  mgte mine pairs.jsonl --model mgte-nano --out groups.parquet --report report.md\n"
    "  mgte mine scifact --split train --model MODEL --out groups.jsonl --window 30 100"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "pairs",
        nargs="+",
        metavar="PAIRS",
        help="files of pairs or groups, prepared or BEIR folders",
    )
    parser.add_argument("--model", required=True, help="embedding model that searches")
    parser.add_argument("--out", required=True, metavar="FILE", help="groups: .parquet or .jsonl")
    parser.add_argument("--report", metavar="FILE", help="what was left out and why, as Markdown")
    source = parser.add_argument_group("what is read")
    source.add_argument("--split", default="train", help="judgements of BEIR folders (%(default)s)")
    source.add_argument(
        "--field",
        action="append",
        default=[],
        metavar="NAME=COLUMN",
        help="column of query, positives, negatives, source or language",
    )
    source.add_argument("--source", default="", help="name of the source of rows that name none")
    source.add_argument(
        "--corpus",
        metavar="FILE",
        help="documents to search, a file or BEIR folder (default: those of the same source; of a "
        "BEIR folder its corpus)",
    )
    rules = parser.add_argument_group("which documents become negatives")
    rules.add_argument(
        "--window",
        nargs=2,
        type=positive,
        default=(10, 100),
        metavar=("FIRST", "LAST"),
        help="ranks that are taken, positives not counted (10 100)",
    )
    rules.add_argument("--negatives", type=positive, default=8, metavar="N", help="(%(default)s)")
    rules.add_argument(
        "--min-negatives", type=positive, default=1, metavar="N", help="(%(default)s)"
    )
    rules.add_argument(
        "--relative-margin",
        type=float,
        default=0.95,
        metavar="M",
        help="leave out what scores above M times the positive's score; 0: keep it (%(default)s)",
    )
    rules.add_argument(
        "--reference",
        choices=("lowest", "mean", "highest"),
        default="mean",
        help="which score counts of several positives (%(default)s)",
    )
    rules.add_argument("--choice", choices=("random", "hardest"), default="random")
    rules.add_argument("--seed", type=int, default=0)
    rules.add_argument("--reranker", help="scores candidates again; its scores are written")
    rules.add_argument(
        "--teacher-margin",
        type=float,
        default=0.0,
        metavar="M",
        help="leave out what the reranker scores above the positive minus M (%(default)s)",
    )
    add_progress_option(parser)
    add_json_option(parser, "a summary")
    add_load_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Mine, write groups and the report."""
    from mgte.search import MiningConfig, check_group_file, mine_negatives, write_groups

    config = MiningConfig(
        window=tuple(arguments.window),
        num_negatives=arguments.negatives,
        min_negatives=arguments.min_negatives,
        relative_margin=arguments.relative_margin or None,
        reference=arguments.reference,
        teacher_margin=arguments.teacher_margin,
        choice=arguments.choice,
        seed=arguments.seed,
    )
    check_group_file(arguments.out)
    if arguments.report is not None and not Path(arguments.report).resolve().parent.is_dir():
        raise DataError(f"{arguments.report}: no such folder, expected one to write in")
    groups, corpora = read(arguments)
    corpus = corpora if arguments.corpus is None else read_texts_of(arguments.corpus)
    from mgte.inference import Embedder

    mined = mine_negatives(
        groups,
        Embedder.load(arguments.model, **load_settings(arguments)),
        corpus=corpus,
        teacher=load_teacher(arguments),
        config=config,
        encode_options={"show_progress": arguments.progress},
    )
    mined.report.settings |= {
        "model": arguments.model,
        "reranker": arguments.reranker or "none",
        "pairs": ", ".join(arguments.pairs),
    }
    write_groups(arguments.out, mined.groups)
    if arguments.report is not None:
        Path(arguments.report).write_text(mined.report.to_markdown(), encoding="utf-8")
    tell(mined, arguments)
    return 0


def read(arguments: argparse.Namespace) -> "tuple[list[TrainingGroup], dict[str, list[str]]]":
    """Groups of all files, and the documents of BEIR folders by source."""
    from mgte.search import is_collection, read_groups

    known = ("query", "positives", "negatives", "source", "language")
    fields = {}
    for text in arguments.field:
        name, sign, column = text.partition("=")
        if not sign or name not in known:
            raise ConfigError(f"--field: got {text!r}, expected NAME=COLUMN of {', '.join(known)}")
        fields[name] = column
    groups, corpora = list["TrainingGroup"](), dict[str, list[str]]()
    for path in arguments.pairs:
        found = read_groups(path, split=arguments.split, source=arguments.source, fields=fields)
        if arguments.corpus is None and is_collection(path):
            corpora.setdefault(found[0].source, []).extend(read_texts_of(path))
        groups += found
    return groups, corpora


def read_texts_of(path: str) -> list[str]:
    """Title and text of every document."""
    from mgte.text import read_corpus

    if not Path(path).exists():
        raise DataError(f"{path}: no such file or folder, expected documents")
    return [document.full_text for document in read_corpus(path)]


def load_teacher(arguments: argparse.Namespace) -> "Teacher | None":
    """Raw scores of the reranker, if one is wanted."""
    if arguments.reranker is None:
        return None
    from mgte.inference import Reranker

    reranker = Reranker.load(arguments.reranker, **load_settings(arguments))
    return lambda pairs: reranker.predict(
        pairs, activation="none", show_progress=arguments.progress
    )


def tell(mined: "Mined", arguments: argparse.Namespace) -> None:
    """What came out, in numbers."""
    report = mined.report
    num_negatives = report.num_negatives.total()
    say(
        f"{report.num_queries.total():,} queries -> {len(mined.groups):,} groups with "
        f"{num_negatives:,} negatives -> {arguments.out}"
    )
    say(
        f"left out: {report.left_out['margin']:,} candidates by the margin, "
        f"{report.left_out['teacher']:,} by the reranker; "
        f"{report.num_without.total():,} queries had too few negatives"
    )
    if not mined.groups:
        first, last = arguments.window
        say(
            f"hint: the window takes ranks {first} to {last} of the documents that are no "
            "positives; a small collection needs a lower one, or a --corpus"
        )
    if arguments.json:
        write_json(
            {
                "out": arguments.out,
                "num_queries": dict(report.num_queries),
                "num_groups": dict(report.num_written),
                "num_without": dict(report.num_without),
                "num_negatives": dict(report.num_negatives),
                "num_positives_outside": dict(report.num_positives_outside),
                "left_out": dict(report.left_out),
            }
        )
