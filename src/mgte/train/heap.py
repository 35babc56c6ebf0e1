"""Memory that the C library keeps back, given to the system between steps.

Ragged batches allocate blocks of ever new sizes. What glibc's heaps take back lies between blocks
that are in use and seldom fits the next batch, so a process that trains on a CPU grows to several
times the memory that it uses.
"""

import ctypes
import sys
import time
from collections.abc import Callable

# Pages that are given back and used again cost about a second for 4 GB.
_INTERVAL_S = 30.0


class HeapTrimmer:
    """Gives free memory back every so often.

    Args:
        interval_s: Least seconds between two times.
        trim: What gives memory back; None does nothing.
        clock: Tells the time in seconds.
    """

    def __init__(
        self,
        interval_s: float = _INTERVAL_S,
        *,
        trim: Callable[[], None] | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval = interval_s
        self._trim = trim
        self._clock = clock
        self._last = clock()

    def after_step(self) -> None:
        """Give memory back if it is time."""
        if self._trim is not None and self._clock() - self._last >= self._interval:
            self._trim()
            self._last = self._clock()


def heap_trim() -> Callable[[], None] | None:
    """The C library's `malloc_trim`; None where it has no such thing (musl, other systems)."""
    if sys.platform != "linux":
        return None
    found = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if found is None:
        return None

    def trim() -> None:
        # Leave no free pages at the top, and none inside the heaps.
        found(ctypes.c_size_t(0))

    return trim
