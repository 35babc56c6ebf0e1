"""Gathering in a world of one gives back what it got; several: tests/laws/test_processes_agree."""

import torch

from mgte.model import SparseWeights
from mgte.train.gather import gather_rows, gather_sparse, share_sizes
from mgte.train.world import World


def test_alone_nothing_is_copied() -> None:
    rows = torch.ones(3, 2, requires_grad=True)
    assert gather_rows(rows, World()) is rows
    sparse = SparseWeights(
        token_ids=torch.arange(2), weights=rows[:2, 0], cu_terms=torch.tensor([0, 2]).int()
    )
    assert gather_sparse(sparse, World()) is sparse
    assert share_sizes([3, 4], World()) == [(3, 4)]
