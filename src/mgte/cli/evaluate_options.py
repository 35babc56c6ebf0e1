"""Options of `mgte evaluate`, and what they turn into."""

import argparse
from typing import TYPE_CHECKING, Any

from mgte.cli.options import add_json_option, add_load_options, load_settings, positive
from mgte.cli.options import progress_option as add_progress_option
from mgte.errors import ConfigError

if TYPE_CHECKING:
    from mgte.evaluate import Mode, RetrievalConfig
    from mgte.evaluate.subjects import Subject

COLUMNS: "tuple[Mode, ...]" = ("dense", "sparse", "hybrid", "reranked", "bm25")
KINDS = (
    "retrieval",
    "reranking",
    "sts",
    "classification",
    "clustering",
    "pair_classification",
    "bitext",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """All options of the command."""
    parser.add_argument(
        "model",
        nargs="?",
        metavar="MODEL",
        help="folder, hub id or bundled name; st:NAME for sentence-transformers; "
        "http(s)://HOST[/ROUTE][#NAME] for a server, whose key stands in MGTE_API_KEY",
    )
    parser.add_argument("--reranker", help="a reranker, named like MODEL")
    _add_what(parser)
    _add_retrieval(parser)
    _add_asking(parser)
    add_progress_option(parser)
    add_json_option(parser, "one line per result")
    add_load_options(parser)


def _add_what(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("what is measured")
    what.add_argument("--suite", metavar="NAME", help="a suite by name, or a YAML file; see --list")
    what.add_argument(
        "--task",
        nargs="+",
        default=[],
        metavar="NAME",
        help="these tasks of the suite, or kinds of tasks; mteb:NAME for any task of mteb",
    )
    what.add_argument(
        "--data",
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="folders with corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv, also compressed; or "
        "files of another --kind",
    )
    what.add_argument(
        "--kind", choices=KINDS, default="retrieval", help="what --data is (%(default)s)"
    )
    what.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="fields of the tasks of --suite or --data, such as profile=sweep or score=label",
    )
    what.add_argument(
        "--split",
        nargs="+",
        help="judgements of --data (test); a folder without them is an error",
    )
    what.add_argument(
        "--data-root",
        metavar="DIR",
        help="where the data of suites lies (default: MGTE_DATA, or the working folder)",
    )
    what.add_argument(
        "--out",
        metavar="PATH",
        help="folder for report.json, .md, .html and finished tasks (default: "
        "evaluation/MODEL/SUITE; none for a table of --data); with --data also a file x.json for "
        "all metrics, per query too",
    )
    what.add_argument("--seed", type=int, metavar="N", help="decides what is drawn (0)")
    what.add_argument(
        "--again", action="store_true", help="measure tasks again that are finished in --out"
    )
    what.add_argument("--no-cache", action="store_true", help="keep no vectors on disk")
    what.add_argument(
        "--cache-dir", metavar="DIR", help="where vectors are kept (default: cache in --out)"
    )
    what.add_argument(
        "--save-runs", action="store_true", help="write rankings as TREC runs into --out/runs"
    )
    what.add_argument(
        "--run",
        nargs="+",
        default=[],
        metavar="FILE",
        help="measure these TREC runs on the folder of --data instead of a model",
    )
    what.add_argument(
        "--list",
        nargs="?",
        const="",
        metavar="SUITE",
        help="list the suites, or the tasks of one, and stop",
    )
    what.add_argument(
        "--compare",
        nargs=2,
        metavar=("A", "B"),
        help="compare two reports (folders of --out) and stop; --out takes x.md or x.html",
    )


def _add_retrieval(parser: argparse.ArgumentParser) -> None:
    how = parser.add_argument_group("what is searched, and how")
    how.add_argument(
        "--modes", nargs="+", choices=COLUMNS, default=[], help="columns (default: all possible)"
    )
    how.add_argument(
        "--document-ids",
        metavar="PATTERN",
        help="pattern of the document ids of --data that are searched; {split} is the split",
    )
    how.add_argument(
        "--own-documents",
        choices=("same-text", "same-id", "none"),
        help="documents of --data that are the query itself and are not ranked for it: those of "
        "its id and text, of its id (as BEIR's scripts do), or none (same-text)",
    )
    how.add_argument("--max-queries", type=positive, metavar="N", help="of --data")
    how.add_argument(
        "--max-documents",
        type=positive,
        metavar="N",
        help="of --data, beside the judged ones",
    )
    how.add_argument("--dim", type=positive, metavar="N", help="leading dimensions to use")
    how.add_argument(
        "--sparse-weight", type=float, metavar="W", help="hybrid score = dense + W * sparse (0.1)"
    )
    how.add_argument(
        "--sparse-scale",
        choices=("raw", "query"),
        help="query: sparse scores are divided by the query's largest (raw)",
    )
    how.add_argument(
        "--missing",
        choices=("zero", "computed"),
        help="score of a document that one of the two searches did not find (zero)",
    )
    how.add_argument("--top-k", type=positive, metavar="N", help="(1000)")
    how.add_argument("--rerank-depth", type=positive, metavar="N", help="(100)")
    how.add_argument(
        "--first-stage",
        choices=("dense", "sparse", "hybrid", "bm25"),
        help="ranking that is reranked (hybrid, or what the model has of dense and sparse)",
    )
    how.add_argument(
        "--rerank-blend",
        type=float,
        metavar="B",
        help="share of the first ranking in the reranked one (0)",
    )
    how.add_argument("--max-tokens-per-batch", type=positive, metavar="N")


def _add_asking(parser: argparse.ArgumentParser) -> None:
    asking = parser.add_argument_group("how the model is asked")
    asking.add_argument(
        "--prompt",
        nargs="+",
        default=[],
        metavar="ROLE=TEXT",
        help="text before every query, document or text, or the name of a prompt of the model",
    )
    asking.add_argument("--instruction", metavar="TEXT", help="what searches are about")
    asking.add_argument(
        "--batch-size",
        type=positive,
        default=32,
        metavar="N",
        help="texts per batch of st: models and per request to servers (%(default)s)",
    )


# What belongs to --data, and what it is where nobody says.
_OF_DATA: dict[str, Any] = {
    "split": ["test"],
    "document_ids": "*",
    "own_documents": "same-text",
    "max_queries": 0,
    "max_documents": 0,
}


def fill_data_options(arguments: argparse.Namespace) -> None:
    """Give the options of --data their defaults; a suite, which knows its own data, refuses them.

    Args:
        arguments: What the parser made of the command line; changed.

    Raises:
        ConfigError: One of them is given without --data.
    """
    for name, default in _OF_DATA.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, default)
        elif not arguments.data:
            option = f"--{name.replace('_', '-')}"
            raise ConfigError(
                f"{option}: belongs to --data, and there is none",
                hint=f"fields of a suite's tasks are set by --set, such as --set {name}=...",
            )


def retrieval_config(
    arguments: argparse.Namespace, settings: dict[str, Any] | None = None
) -> "RetrievalConfig":
    """How collections are searched: what the options say, before what a suite says.

    Args:
        arguments: What the parser made of the command line.
        settings: Fields that a suite sets.

    Returns:
        The record.
    """
    from mgte.evaluate import RetrievalConfig

    given: dict[str, Any] = {
        name: getattr(arguments, name)
        for name in ("dim", "top_k", "rerank_depth", "rerank_blend", "max_tokens_per_batch")
    }
    given["first_stage"] = arguments.first_stage
    given["show_progress"] = arguments.progress
    config = RetrievalConfig().changed(settings or {}).changed(_without_none(given))
    hybrid = {name: getattr(arguments, name) for name in ("sparse_weight", "sparse_scale")}
    return config.changed({"hybrid": _without_none(hybrid | {"missing": arguments.missing})})


def load_models(arguments: argparse.Namespace, max_length: int | None = None) -> "Subject":
    """The models of a command line.

    Args:
        arguments: What the parser made of it.
        max_length: Longest text in tokens where the options do not say.

    Returns:
        What is measured.

    Raises:
        MgteError: A model cannot be found or loaded.
    """
    from mgte.evaluate.subjects import SubjectOptions, load_subject
    from mgte.inference import LoadOptions

    settings = load_settings(arguments)
    settings["max_length"] = settings["max_length"] or max_length
    return load_subject(
        arguments.model,
        arguments.reranker,
        SubjectOptions(
            load=LoadOptions(**settings),
            prompts=_prompts(arguments.prompt),
            instruction=arguments.instruction,
            batch_size=arguments.batch_size,
            max_tokens_per_batch=arguments.max_tokens_per_batch,
            show_progress=arguments.progress,
        ),
    )


def _prompts(texts: list[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        role, sign, prompt = text.partition("=")
        if not sign:
            raise ConfigError(f"--prompt: got {text!r}, expected ROLE=TEXT")
        found[role] = prompt
    return found


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
