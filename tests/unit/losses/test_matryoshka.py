"""Prefixes are unit vectors; the loss is the weighted sum over widths."""

import torch

from mgte.losses import LossSum, matryoshka, prefix


def test_prefixes_have_unit_length() -> None:
    vectors = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    for width in (1, 3, 8):
        cut = prefix(vectors, width)
        assert cut.shape == (5, width)
        torch.testing.assert_close(cut.norm(dim=1), torch.ones(5))
    assert not prefix(torch.zeros(2, 8), 4).any()


def test_weighted_sum_over_widths() -> None:
    found = matryoshka(lambda width: LossSum(torch.tensor(float(width)), 7), (2, 4, 8), (1, 0.5, 2))
    assert (float(found.total), found.count) == (20.0, 7)
