"""Options that several commands share, and what they turn into."""

import argparse
from typing import TypedDict

DEFAULT_EMBEDDER = "mgte-nano"
DEFAULT_RERANKER = "mgte-nano-reranker"
REFERENCE_BACKEND = "torch-eager"
BACKENDS = ("torch-eager", "torch", "openvino")


class LoadSettings(TypedDict):
    """Keyword arguments of `Embedder.load` and `Reranker.load`."""

    device: str
    dtype: str
    backend: str
    max_length: int | None
    revision: str | None
    offline: bool | None


def add_load_options(parser: argparse.ArgumentParser) -> None:
    """Options that say how a model is loaded."""
    group = parser.add_argument_group("how the model is loaded")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps")
    group.add_argument(
        "--dtype",
        default="auto",
        choices=("auto", "float32", "bfloat16", "float16", "int8"),
        help="auto is float32 on a CPU and bfloat16 on a GPU",
    )
    group.add_argument(
        "--backend",
        default="auto",
        help="auto, torch, torch-eager or openvino; auto takes what is faster here",
    )
    group.add_argument("--max-length", type=positive, metavar="N", help="longest text in tokens")
    add_source_options(group)


def add_source_options(parser: "argparse.ArgumentParser | argparse._ArgumentGroup") -> None:
    """Options that say which files of a hub model are taken."""
    parser.add_argument("--revision", help="commit, tag or branch on the model hub")
    parser.add_argument(
        "--offline", action="store_true", default=None, help="use files of this machine only"
    )


def load_settings(arguments: argparse.Namespace) -> LoadSettings:
    """What `add_load_options` gathered."""
    return LoadSettings(
        device=arguments.device,
        dtype=arguments.dtype,
        backend=arguments.backend,
        max_length=arguments.max_length,
        revision=arguments.revision,
        offline=arguments.offline,
    )


def add_json_option(parser: argparse.ArgumentParser, what: str) -> None:
    """`--json`, for programs that read the output."""
    parser.add_argument("--json", action="store_true", help=f"print {what} as JSON")


def positive(text: str) -> int:
    """An integer of at least 1, for argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"got {value}, expected at least 1")
    return value


def progress_option(parser: argparse.ArgumentParser) -> None:
    """`--progress` and `--no-progress`; the default draws a bar on a terminal only."""
    parser.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="draw a progress bar (default: on a terminal, for long work)",
    )
