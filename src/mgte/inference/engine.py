"""Engine: token id sequences in any order -> plan -> packed batches -> runtime -> given order.

On a CPU several single-threaded workers take small packed batches from one queue, longest first:
they never wait for each other, which a pass of several threads does at every layer. A sequence so
long that the others would wait for its worker runs over all cores instead.
"""

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from mgte.errors import DataError
from mgte.inference.routing import Router
from mgte.packing import (
    PackedBatch,
    Pooling,
    TokenIds,
    pack,
    plan_balanced_batches,
    rows_of_pooling,
)

Result = TypeVar("Result")

# Work of one token per layer grows with its sequence's length: attention reaches the cost of the
# linear layers at about this many tokens in the base-size shapes.
_ATTENTION_EVEN_TOKENS = 6000
# Cores that share one batch wait for each other; a smaller lead than this is not worth it.
_UNEVEN = 1.15


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenInput:
    """What the engine runs on.

    Attributes:
        ids: Token ids of every sequence.
        token_type_ids: Segment ids of every sequence; None means all 0.
    """

    ids: Sequence[TokenIds]
    token_type_ids: Sequence[TokenIds] | None = None

    def batch(self, group: Sequence[int]) -> PackedBatch:
        """The sequences of one group, packed."""
        types = self.token_type_ids
        return pack(
            [self.ids[index] for index in group],
            token_type_ids=None if types is None else [types[index] for index in group],
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Task(Generic[Result]):
    """What is to be made of the states.

    Attributes:
        pooling: The pooling whose rows suffice; None if the states of all tokens are needed.
        reduce: Makes one result per sequence from the states of a batch.
    """

    pooling: Pooling | None
    reduce: Callable[[Tensor, PackedBatch], Sequence[Result]]


class Engine:
    """Runs tasks over many sequences.

    Attributes:
        router: Chooses the runtime of a batch.
        num_workers: Batches that run at the same time.
        max_tokens_per_batch: Token budget of one batch.
    """

    def __init__(self, router: Router, *, num_workers: int, max_tokens_per_batch: int) -> None:
        self.router = router
        self.num_workers = num_workers
        self.max_tokens_per_batch = max_tokens_per_batch
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    def run(
        self,
        inputs: TokenInput,
        task: Task[Result],
        *,
        max_tokens_per_batch: int | None = None,
        show_progress: bool | None = None,
    ) -> list[Result]:
        """Run a task over all sequences.

        Args:
            inputs: Token sequences, none empty.
            task: What is to be made of them.
            max_tokens_per_batch: Token budget of one batch; None means the engine's own.
            show_progress: Whether to draw a bar on standard error; None draws one on a terminal
                when the work takes more than two seconds.

        Returns:
            One result per sequence, in the given order.

        Raises:
            DataError: A single sequence does not fit into the device's memory.
        """
        lengths = [len(sequence) for sequence in inputs.ids]
        if not lengths:
            return []
        budget = max_tokens_per_batch or self.max_tokens_per_batch
        plan = plan_balanced_batches(lengths, max_tokens=budget, num_workers=self.num_workers)
        queue = deque(plan)
        results: list[Result | None] = [None] * len(lengths)
        with _progress(len(lengths), show_progress) as bar:
            for group, values in self._finished(queue, inputs, task, lengths):
                for index, value in zip(group, values, strict=True):
                    results[index] = value
                bar.update(len(group))
        return results  # type: ignore[return-value]  # every index is in exactly one group

    def close(self) -> None:
        """Stop the workers."""
        with self._lock:
            if self._pool is not None:
                self._pool.shutdown()
                self._pool = None

    def _finished(
        self,
        queue: deque[list[int]],
        inputs: TokenInput,
        task: Task[Result],
        lengths: Sequence[int],
    ) -> Iterable[tuple[list[int], Sequence[Result]]]:
        """Groups with their results, as they finish."""
        while queue and (self.num_workers == 1 or self._should_run_wide(queue, lengths)):
            yield from self._attempt(queue.popleft(), inputs, task, is_wide=True)
        if not queue:
            return
        pool = self._workers()
        running: set[Future[list[tuple[list[int], Sequence[Result]]]]] = set()
        try:
            while queue or running:
                while queue and len(running) < 2 * self.num_workers:
                    group = queue.popleft()
                    running.add(pool.submit(self._attempt, group, inputs, task, is_wide=False))
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield from future.result()
        finally:
            for future in running:
                future.cancel()

    def _should_run_wide(self, queue: deque[list[int]], lengths: Sequence[int]) -> bool:
        """Whether the first group would still run when the workers have done all others."""
        costs = [_cost(lengths, group) for group in queue]
        return len(queue) == 1 or costs[0] * self.num_workers > _UNEVEN * sum(costs)

    def _attempt(
        self, group: list[int], inputs: TokenInput, task: Task[Result], *, is_wide: bool
    ) -> list[tuple[list[int], Sequence[Result]]]:
        """Run one group; halves of it where memory does not suffice."""
        try:
            return [(group, self._run_group(group, inputs, task, is_wide=is_wide))]
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            if len(group) == 1:
                raise DataError(
                    f"sequence {group[0]}: its {len(inputs.ids[group[0]]):,} tokens do not fit "
                    "into the device's memory",
                    hint="lower max_length, or use a smaller dtype",
                ) from error
        half = len(group) // 2
        return [
            finished
            for part in (group[:half], group[half:])
            for finished in self._attempt(part, inputs, task, is_wide=is_wide)
        ]

    def _run_group(
        self, group: list[int], inputs: TokenInput, task: Task[Result], *, is_wide: bool
    ) -> Sequence[Result]:
        batch = inputs.batch(group)
        rows = None if task.pooling is None else rows_of_pooling(task.pooling, batch)
        runtime = self.router.runtime_for(batch)
        with torch.inference_mode():
            if is_wide:
                states = runtime.hidden_wide(batch, rows, self.num_workers)
            else:
                states = runtime.hidden(batch, rows)
            placed = batch if states.device.type == "cpu" else batch.to(states.device)
            return task.reduce(states, placed)

    def _workers(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = _single_threaded_workers(self.num_workers)
            return self._pool


def _single_threaded_workers(num_workers: int) -> ThreadPoolExecutor:
    """Threads in which PyTorch computes on one core.

    `torch.set_num_threads` sets the calling thread's count and the default of threads to come;
    the latter is put back, so that the program around us does not change.
    """
    default = torch.get_num_threads()
    pool = ThreadPoolExecutor(
        num_workers, thread_name_prefix="mgte", initializer=_compute_on_one_core
    )
    barrier = threading.Barrier(num_workers)
    wait([pool.submit(barrier.wait) for _ in range(num_workers)])
    torch.set_num_threads(default)
    return pool


def _compute_on_one_core() -> None:
    torch.set_num_threads(1)
    # PyTorch adopts its default in each thread at the first question; ask before it is put back.
    torch.get_num_threads()


def _cost(lengths: Sequence[int], group: Sequence[int]) -> float:
    sizes = np.array([lengths[index] for index in group], dtype=np.float64)
    return float((sizes * (1 + sizes / _ATTENTION_EVEN_TOKENS)).sum())


def _progress(total: int, show: bool | None) -> "tqdm[None]":
    is_hidden = not (sys.stderr.isatty() if show is None else show)
    delay = 2.0 if show is None else 0.0
    return tqdm(total=total, unit="text", disable=is_hidden, delay=delay, leave=False)
