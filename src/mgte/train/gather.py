"""Gathering of rows from all processes: with gradients for vectors and weights, without for hashes.

Every process computes the loss of its own rows against the rows of all. The gradient of a row is
therefore the sum of what all processes send back, at scale 1: the sum of all losses has exactly the
gradient that one process with the whole batch would have.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from mgte.model import SparseWeights
from mgte.train.world import World


def share_sizes(sizes: Sequence[int], world: World) -> list[tuple[int, ...]]:
    """Tell all processes some numbers of each.

    Args:
        sizes: Numbers of this process.
        world: The processes.

    Returns:
        The numbers of each process, by rank.
    """
    if world.size == 1:
        return [tuple(sizes)]
    own = torch.tensor([list(sizes)], dtype=torch.int64, device=world.device)
    everyone = own.new_empty(world.size, len(sizes))
    dist.all_gather_single(everyone, own)
    return [tuple(numbers) for numbers in everyone.tolist()]


def gather_rows(rows: Tensor, world: World, num_rows: Sequence[int] | None = None) -> Tensor:
    """Rows of all processes, laid end to end by rank. Differentiable.

    All processes must call it in the same order, those without rows too, and all of them with
    tensors that require a gradient or none. The backward pass is a collective as well.

    Args:
        rows: This process's rows, `[rows, ...]`; the number of rows may differ.
        world: The processes.
        num_rows: Rows of each process, where that is known already.

    Returns:
        `[all rows, ...]`; for a world of one process the rows themselves.
    """
    if world.size == 1:
        return rows
    if num_rows is None:
        num_rows = [number for (number,) in share_sizes([rows.shape[0]], world)]
    if not rows.requires_grad:
        return _all_gather(rows, num_rows)
    run: Any = _GatherRows.apply
    gathered: Tensor = run(rows, tuple(num_rows), world.rank)
    return gathered


def gather_sparse(sparse: SparseWeights, world: World) -> SparseWeights:
    """Token weights of all processes, end to end by rank. Differentiable in the weights.

    Args:
        sparse: This process's weights.
        world: The processes.

    Returns:
        Weights of all texts.
    """
    if world.size == 1:
        return sparse
    num_terms = sparse.cu_terms.diff().long()
    sizes = share_sizes([num_terms.shape[0], sparse.token_ids.shape[0]], world)
    all_texts, all_terms = zip(*sizes, strict=True)
    lengths = gather_rows(num_terms, world, all_texts)
    return SparseWeights(
        token_ids=gather_rows(sparse.token_ids, world, all_terms),
        weights=gather_rows(sparse.weights, world, all_terms),
        cu_terms=torch.nn.functional.pad(lengths.cumsum(0), (1, 0)).int(),
    )


class _GatherRows(torch.autograd.Function):
    """All-gather forward, reduce-scatter (a sum) backward."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, num_rows: tuple[int, ...], rank: int) -> Tensor:
        ctx.num_rows, ctx.rank = num_rows, rank
        return _all_gather(rows, num_rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _reduce_scatter(gradients[0], ctx.num_rows, ctx.rank), None, None


def _all_gather(rows: Tensor, num_rows: Sequence[int]) -> Tensor:
    longest = max(num_rows)
    if longest == 0:
        return rows.clone()
    padded = rows.new_zeros(longest, *rows.shape[1:])
    padded[: rows.shape[0]] = rows
    everyone = rows.new_empty(len(num_rows) * longest, *rows.shape[1:])
    dist.all_gather_single(everyone, padded)
    shares = everyone.split(longest)
    return torch.cat([share[:number] for share, number in zip(shares, num_rows, strict=True)])


def _reduce_scatter(gradient: Tensor, num_rows: Sequence[int], rank: int) -> Tensor:
    longest = max(num_rows)
    if longest == 0:
        return gradient
    padded = gradient.new_zeros(len(num_rows), longest, *gradient.shape[1:])
    for place, share in zip(padded, gradient.split(list(num_rows)), strict=True):
        place[: share.shape[0]] = share
    own = gradient.new_empty(longest, *gradient.shape[1:])
    dist.reduce_scatter_single(own, padded.flatten(0, 1))
    return own[: num_rows[rank]]
