"""`mgte models`: the models that are known by name, and what is on this machine."""

import argparse
from dataclasses import asdict

from mgte.cli.options import add_json_option
from mgte.cli.output import say, write_json, write_table

DESCRIPTION = (
    "List the models that are known by name. Any other folder or hub id of one of their families "
    "loads as well."
)
EXAMPLE = "  mgte models --here"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "--here", action="store_true", help="only those that load without a network"
    )
    add_json_option(parser, "the list")


def run(arguments: argparse.Namespace) -> int:
    """Print the list."""
    from mgte.store import KNOWN_MODELS, is_cached

    models = [(model, is_cached(model.name)) for model in KNOWN_MODELS.values()]
    if arguments.here:
        models = [(model, is_here) for model, is_here in models if is_here]
    if arguments.json:
        write_json([{**asdict(model), "is_here": is_here} for model, is_here in models])
        return 0
    if not models:
        say("none of the known models is on this machine; `mgte models` lists them all")
        return 0
    rows = [
        (
            model.name,
            is_here,
            model.family,
            _rounded(model.num_parameters),
            model.dimension,
            model.max_tokens,
            model.purpose,
        )
        for model, is_here in models
    ]
    write_table(("name", "here", "family", "params", "dim", "tokens", "what it is"), rows)
    return 0


def _rounded(count: int) -> str:
    return f"{count / 1e9:.1f}B" if count >= 1e9 else f"{count / 1e6:.0f}M"
