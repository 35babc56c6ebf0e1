"""Prefetcher: results of a function, made ahead of time by one background thread."""

import queue
import threading
import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

# How long the thread waits for room before it looks whether it should stop.
_WAIT_S = 0.05


class Prefetcher(Generic[T]):
    """Calls a function ahead of time and keeps a few results; starts when the first is taken.

    The thread ends with `close`, with an error of the function, or when the prefetcher is no longer
    referred to (the function must not refer to it).

    Args:
        produce: Gives the next result; called by one thread only.
        depth: Results that are kept ready; 0 makes each when it is taken.
    """

    def __init__(self, produce: Callable[[], T], *, depth: int) -> None:
        self._produce = produce
        self._ready: queue.Queue[T | _Failure] = queue.Queue(maxsize=max(1, depth))
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._has_thread = depth > 0

    def take(self) -> T:
        """The next result.

        Returns:
            The result.

        Raises:
            BaseException: What the function raised, at its place in the order of results, and
                again for every later call.
        """
        if self._failure is not None:
            raise self._failure
        if not self._has_thread:
            try:
                return self._produce()
            except BaseException as error:
                self._failure = error  # going on would leave a result out
                raise
        if self._thread is None:
            self._start()
        result = self._ready.get()
        if isinstance(result, _Failure):
            self._failure = result.error
            raise self._failure
        return result

    def close(self) -> None:
        """End the thread and wait for it; results that were not taken are lost."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._failure = self._failure or RuntimeError("this loader is closed")

    def _start(self) -> None:
        weakref.finalize(self, self._stop.set)
        self._thread = threading.Thread(
            target=_work,
            args=(self._produce, self._ready, self._stop),
            name="mgte-prefetch",
            daemon=True,
        )
        self._thread.start()


class _Failure:
    """What the function raised, on its way to the taker."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _work(
    produce: Callable[[], T], ready: "queue.Queue[T | _Failure]", stop: threading.Event
) -> None:
    while not stop.is_set():
        result: T | _Failure
        try:
            result = produce()
        except BaseException as error:
            result = _Failure(error)
        while not stop.is_set():
            try:
                ready.put(result, timeout=_WAIT_S)
                break
            except queue.Full:
                continue
        if isinstance(result, _Failure):
            return
