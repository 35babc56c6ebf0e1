"""The `mgte` command: a table of sub-commands, each imported only when it is called.

Exit codes: 0 done, 2 something that the user can fix, 1 a fault of ours, 130 interrupted.
"""

import argparse
import importlib
import os
import sys
import textwrap
from collections.abc import Sequence
from typing import NoReturn, Protocol

from mgte._version import __version__
from mgte.errors import MgteError

COMMANDS = {
    "embed": "texts to dense vectors and sparse token weights",
    "rerank": "score documents against a query, or query-document pairs",
    "similarity": "compare texts with each other",
    "evaluate": "measure a model: your collections, suites of tasks, published numbers",
    "mine": "find hard negatives for query-document pairs",
    "data": "prepare training data, look at it, train a tokenizer",
    "train": "run a training recipe, or look at it first",
    "merge": "make one model of several that have the same shape",
    "models": "list the models that are known and what is on this machine",
    "info": "show what a model is made of",
    "verify": "measure how far each backend and dtype is from exact results",
    "doctor": "show what is installed and what this machine can do",
}

USAGE_EXAMPLE = 'mgte similarity "a ripe tomato" "a red vegetable" "a fast car"'
OK, OUR_FAULT, USER_CAN_FIX, INTERRUPTED = 0, 1, 2, 130


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line and a hint, as all errors of this command are."""

    def error(self, message: str) -> NoReturn:
        """Tell what is wrong with the words of the command line, and end."""
        self.exit(USER_CAN_FIX, f"error: {message}\n\nhint: {self.prog} --help\n")


class Command(Protocol):
    """What every command module offers."""

    DESCRIPTION: str
    EXAMPLE: str

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        ...

    def run(self, arguments: argparse.Namespace) -> int:
        """Do the work and return the exit code."""
        ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program's name; None takes them from the command line.

    Returns:
        Exit code.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    wants_traceback = words[:1] == ["--traceback"]
    if wants_traceback:
        words = words[1:]
    if not words or words[0] in ("-h", "--help", "help"):
        print_overview()
        return OK if words else USER_CAN_FIX
    if words[0] in ("-V", "--version"):
        sys.stdout.write(f"mgte {__version__}\n")
        return OK
    name = words[0]
    if name not in COMMANDS:
        sys.stderr.write(f"error: {name}: unknown command; known commands: {', '.join(COMMANDS)}\n")
        return USER_CAN_FIX
    command = load_command(name)
    arguments = build_parser(name, command).parse_args(words[1:])
    return run_command(command, arguments, wants_traceback or arguments.traceback)


def load_command(name: str) -> Command:
    """The module of one command."""
    command: Command = importlib.import_module(f"mgte.cli.{name}")
    return command


def build_parser(name: str, command: Command) -> argparse.ArgumentParser:
    """The command's parser; its help ends with an example."""
    parser = Parser(
        prog=f"mgte {name}",
        description=textwrap.fill(command.DESCRIPTION, width=80),
        epilog=f"example:\n{command.EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.configure(parser)
    parser.add_argument(
        "--traceback", action="store_true", help="show where in the program an error arose"
    )
    return parser


def run_command(command: Command, arguments: argparse.Namespace, wants_traceback: bool) -> int:
    """Run a command and turn what it raises into one line, a hint and an exit code.

    Args:
        command: The command's module.
        arguments: What its parser made of the command line.
        wants_traceback: Whether errors are raised as they are.

    Returns:
        Exit code.
    """
    try:
        code = command.run(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader has seen enough, as `head` does. Nothing is left to flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        return INTERRUPTED
    except Exception as error:
        if wants_traceback:
            raise
        message, code = explain(error)
        sys.stderr.write(message)
        return code


def explain(error: Exception) -> tuple[str, int]:
    """What the user reads about an error, and the exit code."""
    if isinstance(error, MgteError):
        return f"error: {error}\n", USER_CAN_FIX
    if isinstance(error, OSError) and error.filename is not None:
        return f"error: {error.filename}: {error.strerror}\n", USER_CAN_FIX
    first_line = next(iter(str(error).splitlines()), "")
    return (
        f"error: a fault in mgte {__version__}: {type(error).__name__}: {first_line}\n\n"
        "hint: run the command again with --traceback and report what it prints\n",
        OUR_FAULT,
    )


def print_overview() -> None:
    """Commands with one line each."""
    width = max(len(name) for name in COMMANDS)
    lines = [
        "usage: mgte COMMAND [OPTIONS]",
        "",
        "Text retrieval with the GTE family: embed, rerank, train, evaluate.",
        "",
        "commands:",
        *(f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items()),
        "",
        "options:",
        "  --help       this page; `mgte COMMAND --help` shows a command's options",
        "  --version    the version",
        "  --traceback  before or after COMMAND: show where in the program an error arose",
        "",
        "example:",
        f"  {USAGE_EXAMPLE}",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
