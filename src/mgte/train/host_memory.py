"""Memory of a process that trains on a CPU: what grows with ragged batches is held small.

Ragged batches allocate blocks of ever new sizes. What glibc's heaps take back lies between blocks
that are in use and seldom fits the next batch, so the process grows to several times the memory
that it uses. And oneDNN keeps what it compiled for each of the last 1,024 shapes, in two places:
about 0.6 GB of products that are never wanted again.
"""

import ctypes
import os
import sys
import time
from collections.abc import Callable

# Pages that are given back and used again cost about a second for 4 GB.
_INTERVAL_S = 30.0
# oneDNN's own cache, and PyTorch's in front of it; both are read at the first product.
_CACHE_SIZES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
# More than the shapes of one step: layers share theirs.
_CACHED_SHAPES = 128


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


def limit_product_caches() -> None:
    """Keep fewer compiled products, unless the user's environment says how many.

    Has no effect once the process has multiplied matrices in bfloat16.
    """
    for name in _CACHE_SIZES:
        os.environ.setdefault(name, str(_CACHED_SHAPES))


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
