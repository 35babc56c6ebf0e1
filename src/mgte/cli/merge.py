"""`mgte merge`: one model from several of the same shape."""

import argparse
from dataclasses import fields
from typing import TYPE_CHECKING

from mgte.cli.options import add_json_option
from mgte.cli.output import say, write_json

if TYPE_CHECKING:
    from mgte.store import EmbeddingSettings

DESCRIPTION = (
    "Make one model of several that have the same shape, tokenizer and head: mean of the weights "
    "(linear), a step on the sphere from one to another (slerp), or what they agree on relative "
    "to the model that they were trained from (ties)."
)
EXAMPLE = (
    "  mgte merge runs/english runs/all --method ties --base runs/start --out runs/merged\n"
    "  mgte merge first second --method slerp --weights 0.7 0.3 --out merged"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("models", nargs="+", metavar="MODEL", help="folders, names or hub ids")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="folder to write")
    parser.add_argument(
        "--method", choices=("linear", "slerp", "ties"), default="linear", help="(%(default)s)"
    )
    parser.add_argument(
        "--weights", nargs="+", type=float, metavar="W", help="one per model (default: equal)"
    )
    parser.add_argument("--base", metavar="MODEL", help="ties: what the models were trained from")
    parser.add_argument(
        "--density",
        type=float,
        default=0.2,
        metavar="D",
        help="ties: share of each model's changes that is kept (%(default)s)",
    )
    parser.add_argument(
        "--format",
        choices=("transformers", "sentence-transformers", "new"),
        help="of the folder (default: that of the first model); pooling, prompts and limits have "
        "their place in sentence-transformers only",
    )
    add_json_option(parser, "a summary")


def run(arguments: argparse.Namespace) -> int:
    """Merge, and say where it is."""
    from mgte.store import TAKEN_FROM_FIRST, merge_models, open_model, read_training_facts

    folder = merge_models(
        arguments.models,
        arguments.out,
        method=arguments.method,
        weights=arguments.weights,
        base=arguments.base,
        density=arguments.density,
        format=arguments.format,
    )
    say(f"{len(arguments.models)} models, {arguments.method} -> {folder}")
    facts = read_training_facts(folder)
    if facts is not None and TAKEN_FROM_FIRST in facts.notes:
        say(
            f"the models differ in {facts.notes[TAKEN_FROM_FIRST]}: those of {arguments.models[0]} "
            "are kept"
        )
    lost = differing(open_model(arguments.models[0]).settings, open_model(folder).settings)
    if lost:
        say(
            f"format {arguments.format} has no place for {', '.join(lost)} of "
            f"{arguments.models[0]}; --format sentence-transformers keeps them"
        )
    if arguments.json:
        write_json({"out": str(folder), "models": arguments.models, "method": arguments.method})
    return 0


def differing(first: "EmbeddingSettings", second: "EmbeddingSettings") -> list[str]:
    """Names of the settings in which two models differ."""
    names = [field.name for field in fields(first)]
    return [name for name in names if getattr(first, name) != getattr(second, name)]
