"""Router: which runtime a batch goes to."""

import threading
from collections.abc import Callable
from typing import Protocol

from mgte.inference.runtimes.seam import Runtime
from mgte.packing import PackedBatch


class Router(Protocol):
    """Chooses the runtime of a batch."""

    def runtime_for(self, batch: PackedBatch) -> Runtime:
        """The runtime that takes this batch; called from several threads at once."""
        ...


class SingleRuntime:
    """Every batch goes to the same runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def runtime_for(self, batch: PackedBatch) -> Runtime:
        """The one runtime."""
        return self._runtime


class ByLength:
    """Batches of short sequences go to one runtime, those with a long one to another.

    The runtime for long sequences is built when the first one comes: it holds the weights a second
    time, and many programs never see one.
    """

    def __init__(
        self, short: Runtime, build_long: Callable[[], Runtime], *, long_tokens: int
    ) -> None:
        self._short = short
        self._build_long = build_long
        self._long: Runtime | None = None
        self._long_tokens = long_tokens
        self._lock = threading.Lock()

    def runtime_for(self, batch: PackedBatch) -> Runtime:
        """By the longest sequence of the batch."""
        if batch.max_seqlen < self._long_tokens:
            return self._short
        with self._lock:
            if self._long is None:
                self._long = self._build_long()
            return self._long
