"""WorkerTeam: threads that run one pass together and wait for each other between its phases."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

import torch


class WorkerTeam:
    """Single-threaded workers with a common barrier. One run at a time.

    Attributes:
        num_workers: Members of the team.
    """

    def __init__(self, num_workers: int) -> None:
        self.num_workers = num_workers
        self._barrier = threading.Barrier(num_workers)
        # set_num_threads also sets the default of threads to come, which is put back.
        default = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(
            num_workers, thread_name_prefix="mgte-wide", initializer=torch.set_num_threads,
            initargs=(1,),
        )  # fmt: skip
        wait([self._pool.submit(self._barrier.wait) for _ in range(num_workers)])
        torch.set_num_threads(default)

    def run(self, work: Callable[[int], None]) -> None:
        """Run `work(member)` once on every member; the first error ends the run of all."""
        futures = [self._pool.submit(self._guarded, work, i) for i in range(self.num_workers)]
        wait(futures)
        self._barrier.reset()
        errors = [error for future in futures if (error := future.exception()) is not None]
        causes = [error for error in errors if not isinstance(error, threading.BrokenBarrierError)]
        for error in causes or errors:
            raise error

    def meet(self) -> None:
        """Wait until every member has come this far."""
        self._barrier.wait()

    def _guarded(self, work: Callable[[int], None], member: int) -> None:
        try:
            with torch.inference_mode():
                work(member)
        except BaseException:
            self._barrier.abort()
            raise
