"""`mgte train`: run a recipe, look at what it would take, or draw the curves of a run."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mgte.cli.options import add_json_option
from mgte.cli.output import say, write_json, write_line
from mgte.errors import ConfigError

if TYPE_CHECKING:
    from mgte.train.recipe import Recipe

DESCRIPTION = (
    "Run a training recipe: every stage in turn, each ending in a model folder. The same command "
    "continues a run that was interrupted. With --dry-run, say what the recipe would take; with "
    "--plot, draw the curves of a run as PNG. Several GPUs: torchrun --nproc-per-node 8 -m mgte "
    "train RECIPE --out DIR."
)
EXAMPLE = (
    "  mgte train recipes/tiny.yaml --out runs/tiny\n"
    "  mgte train recipes/tiny.yaml --dry-run --set stages.masked-lm.steps=200\n"
    "  mgte train --plot runs/tiny --out curves.png"
)
DEFAULT_CURVES = "curves.png"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("recipe", metavar="RECIPE", nargs="?", help="recipe, a YAML file")
    parser.add_argument(
        "--out", metavar="DIR", help=f"folder of the run; with --plot the PNG ({DEFAULT_CURVES})"
    )
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="assignments",
        help="change one value, stages by number or name: stages.0.steps=10 (repeatable)",
    )
    parser.add_argument(
        "--data-root",
        metavar="DIR",
        default=".",
        help="folder from which paths of data count (default: the current one)",
    )
    parser.add_argument(
        "--device", default="auto", choices=("auto", "cpu", "cuda"), help="(%(default)s)"
    )
    parser.add_argument(
        "--tensorboard", action="store_true", help="event files in DIR/tensorboard as well"
    )
    look = parser.add_argument_group("instead of training")
    look.add_argument(
        "--dry-run",
        action="store_true",
        help="print stages, parameters, tokens, memory, time, and the first batches as text",
    )
    look.add_argument(
        "--measure", action="store_true", help="with --dry-run: time real steps of every stage"
    )
    look.add_argument("--plot", metavar="DIR", help="draw the curves of the run in DIR")
    add_json_option(parser, "what was made (or what --dry-run found)")


def run(arguments: argparse.Namespace) -> int:
    """Train, look, or draw."""
    if arguments.plot is not None:
        return draw(arguments)
    if arguments.recipe is None:
        raise ConfigError("RECIPE: missing, expected a YAML file such as recipes/tiny.yaml")
    recipe = read_recipe(arguments)
    if arguments.dry_run:
        raise ConfigError("dry run")
    raise ConfigError("train")


def draw(arguments: argparse.Namespace) -> int:
    """Draw the curves of a run."""
    from mgte.train.curves import plot_curves

    if arguments.recipe is not None:
        raise ConfigError(f"--plot: got a recipe ({arguments.recipe}) too, expected one of both")
    out = plot_curves(arguments.plot, arguments.out or DEFAULT_CURVES)
    say(f"curves of {arguments.plot} -> {out}")
    if arguments.json:
        write_json({"out": str(out)})
    return 0


def read_recipe(arguments: argparse.Namespace) -> "Recipe":
    """The recipe with the changes of the command line."""
    from mgte.config import from_dict, override, parse_assignments, read_yaml
    from mgte.train.recipe import Recipe

    values = override(read_yaml(arguments.recipe), parse_assignments(arguments.assignments))
    return from_dict(Recipe, values)
