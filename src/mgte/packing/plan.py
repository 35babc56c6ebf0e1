"""Which sequences travel together: the plans of inference, training and serving."""

import heapq
from collections.abc import Sequence

import numpy as np

from mgte.errors import DataError


def plan_batches(
    lengths: Sequence[int], *, max_tokens: int, max_sequences: int | None = None
) -> list[list[int]]:
    """Group sequence indices so that no group holds more than `max_tokens` tokens.

    Longest first, so that peak memory is known from the first group and the last workers to
    finish hold the short ones. Neighbours in a group have similar lengths, which kernels that
    handle equal lengths together profit from. Every index appears in exactly one group; a
    sequence longer than the budget travels alone.

    Args:
        lengths: Tokens per sequence, each at least 1.
        max_tokens: Token budget of one group.
        max_sequences: Most sequences in one group; None means no limit.

    Returns:
        Groups of indices into `lengths`.

    Raises:
        DataError: The budget or a length is below 1.
    """
    if max_tokens < 1:
        raise DataError(f"max_tokens: got {max_tokens}, expected at least 1")
    sizes = np.asarray(lengths, dtype=np.int64)
    if sizes.size and sizes.min() < 1:
        raise DataError(f"sequence {int(sizes.argmin())}: has no tokens, expected at least one")
    groups: list[list[int]] = []
    room = 0
    for index in np.argsort(-sizes, kind="stable").tolist():
        size = int(sizes[index])
        is_full = max_sequences is not None and groups and len(groups[-1]) >= max_sequences
        if size > room or is_full:
            groups.append([])
            room = max_tokens
        groups[-1].append(index)
        room -= size
    return groups


def plan_balanced_batches(
    lengths: Sequence[int], *, max_tokens: int, num_workers: int
) -> list[list[int]]:
    """Groups of nearly equal size, as many for every worker, so that all finish together.

    The number of groups is the smallest multiple of `num_workers` that keeps the budget on
    average; sequences go, longest first, to the group that holds the fewest tokens.

    Args:
        lengths: Tokens per sequence, each at least 1.
        max_tokens: Token budget of one group.
        num_workers: Groups that run at the same time.

    Returns:
        Groups of indices into `lengths`, largest first. Where balance would break the budget,
        the groups of `plan_batches`.

    Raises:
        DataError: The budget or a length is below 1.
    """
    tight = plan_batches(lengths, max_tokens=max_tokens)
    rounds = -(-sum(lengths) // (num_workers * max_tokens))
    num_groups = min(rounds * num_workers, len(lengths))
    groups: list[list[int]] = [[] for _ in range(num_groups)]
    loads = [(0, group) for group in range(num_groups)]
    for index in (index for group in tight for index in group):
        load, group = heapq.heappop(loads)
        groups[group].append(index)
        heapq.heappush(loads, (load + lengths[index], group))
    sizes = {group: load for load, group in loads}
    if any(sizes[group] > max_tokens and len(groups[group]) > 1 for group in sizes):
        return tight
    return [groups[group] for group in sorted(sizes, key=lambda group: (-sizes[group], group))]
