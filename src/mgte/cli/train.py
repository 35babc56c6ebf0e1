"""`mgte train`: run a recipe, look at what it would take, or draw the curves of a run."""

import argparse
import shlex
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgte.cli.options import add_json_option
from mgte.cli.output import say, write_json
from mgte.errors import ConfigError

if TYPE_CHECKING:
    from mgte.train import Recipe, RunOptions, RunResult, World

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
        help="print stages, parameters, tokens, memory, time, and the first batches as text; "
        "datasets are prepared, and kept if --out is given",
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
    if arguments.measure and not arguments.dry_run:
        raise ConfigError("--measure: got it without --dry-run, expected both")
    if arguments.out is None and not arguments.dry_run:
        raise ConfigError("--out: missing, expected a folder for the run")
    from mgte.config import parse_assignments
    from mgte.train import read_recipe

    recipe = read_recipe(arguments.recipe, parse_assignments(arguments.assignments))
    return look(recipe, arguments) if arguments.dry_run else train(recipe, arguments)


def draw(arguments: argparse.Namespace) -> int:
    """Draw the curves of a run."""
    from mgte.train import plot_curves

    if arguments.recipe is not None:
        raise ConfigError(f"--plot: got a recipe ({arguments.recipe}) too, expected one of both")
    out = plot_curves(arguments.plot, arguments.out or DEFAULT_CURVES)
    say(f"curves of {arguments.plot} -> {out}")
    if arguments.json:
        write_json({"out": str(out)})
    return 0


def look(recipe: "Recipe", arguments: argparse.Namespace) -> int:
    """Say what the recipe would take."""
    from tempfile import TemporaryDirectory

    from mgte.cli.train_report import look_ahead_values, say_look_ahead
    from mgte.evaluate import RetrievalEvaluator
    from mgte.train import look_ahead

    with ExitStack() as stack:
        world = stack.enter_context(joined(arguments.device))
        root = Path(arguments.data_root)
        evaluator = RetrievalEvaluator(root, world.device.type)
        for stage in recipe.stages if world.is_first else ():
            # A collection that is here must be one; others are named in the report.
            if stage.evaluation and all((root / name).is_dir() for name in stage.evaluation.data):
                evaluator.check(stage)
        out = arguments.out
        if out is None:
            out = stack.enter_context(TemporaryDirectory(prefix="mgte-"))
        found = look_ahead(
            recipe,
            Path(out),
            world=world,
            options=run_options(arguments, world),
            is_timed=arguments.measure,
        )
        if not world.is_first:
            return 0
    if arguments.json:
        write_json(look_ahead_values(recipe, found))
    else:
        say_look_ahead(recipe, found)
    return 0


def train(recipe: "Recipe", arguments: argparse.Namespace) -> int:
    """Run the recipe, or go on with it."""
    from dataclasses import replace

    from mgte.cli.train_report import run_values, say_what_was_made
    from mgte.evaluate import RetrievalEvaluator
    from mgte.train import ConsoleSink, TensorBoardSink, run_recipe

    with ExitStack() as stack:
        world = stack.enter_context(joined(arguments.device))
        evaluator = RetrievalEvaluator(Path(arguments.data_root), world.device.type)
        sinks: list[Any] = []
        if world.is_first:
            for stage in recipe.stages:
                evaluator.check(stage)
            sinks.append(ConsoleSink())
            if arguments.tensorboard:
                sinks.append(TensorBoardSink(Path(arguments.out) / "tensorboard"))
        for sink in sinks:
            stack.callback(sink.close)
        options = replace(
            run_options(arguments, world), sinks=tuple(sinks), evaluators=(evaluator,)
        )
        result = run_recipe(recipe, arguments.out, world=world, options=options)
    if not world.is_first:
        return exit_code(result)
    if arguments.json:
        write_json(run_values(recipe, arguments.out, result))
    if result.status == "done":
        say_what_was_made(recipe, arguments.out)
    else:
        where = f"in stage {result.stage} after step {result.step}; the state is saved in"
        if not result.step:
            where = f"before a step of stage {result.stage} was done; stages before it are in"
        say(f"interrupted {where} {arguments.out}")
        say(f"to go on: {same_command(arguments)}")
    return exit_code(result)


def run_options(arguments: argparse.Namespace, world: "World") -> "RunOptions":
    """Paths, and words of preparation."""
    from mgte.train import RunOptions

    return RunOptions(data_root=Path(arguments.data_root), report=say if world.is_first else None)


@contextmanager
def joined(device: str) -> "Iterator[World]":
    """The processes that torchrun started, or this one alone."""
    from mgte.train import join_world, leave_world

    world = join_world(device)
    try:
        yield world
    finally:
        leave_world()


def exit_code(result: "RunResult") -> int:
    """0 for a run that is done, 128 and the signal's number for one that was interrupted."""
    if result.status == "done":
        return 0
    return 128 + (result.signal or signal.SIGTERM)


def same_command(arguments: argparse.Namespace) -> str:
    """The command that continues a run."""
    words = ["mgte", "train", arguments.recipe, "--out", arguments.out]
    for assignment in arguments.assignments:
        words += ["--set", assignment]
    if arguments.data_root != ".":
        words += ["--data-root", arguments.data_root]
    if arguments.device != "auto":
        words += ["--device", arguments.device]
    words += ["--tensorboard"] if arguments.tensorboard else []
    return shlex.join(words)
