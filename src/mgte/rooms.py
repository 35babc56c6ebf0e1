"""What the `__init__` of a room needs so that its modules load on first use.

Importing `mgte` costs no torch, and `mgte train --help` only what it prints.
"""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


def names_on_first_use(room: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a room.

    Args:
        room: The room's `__name__`.
        homes: Public name to the module of the room that has it.

    Returns:
        A function from a name to what it stands for; raises AttributeError for another one.
    """

    def resolve(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        return getattr(import_module(f"{room}.{homes[name]}"), name)

    return resolve


def make_callable(room: str, name: str) -> None:
    """Let a room be called like one of its functions.

    Whoever imports a room makes it the attribute of that name in its parent, where users expect
    the function: `mgte.train(...)`.

    Args:
        room: The room's `__name__`.
        name: The public name of the function.
    """

    class CallableRoom(ModuleType):
        """A module that stands for its main function."""

        def __call__(self, *arguments: Any, **options: Any) -> Any:
            return getattr(self, name)(*arguments, **options)

    sys.modules[room].__class__ = CallableRoom
