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


def test_scores_that_are_computed_again_are_not_kept_and_change_no_bit() -> None:
    found, kept = [], []
    for recompute in (False, True):
        generator = torch.Generator().manual_seed(0)
        queries, documents = (
            torch.randn(count, 16, generator=generator, requires_grad=True) for count in (40, 90)
        )
        sizes: dict[int, int] = {}

        def keep(tensor: torch.Tensor, sizes: dict[int, int] = sizes) -> torch.Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.numel()
            return tensor

        def loss_at(width: int, sides=(queries, documents)) -> LossSum:
            scores = prefix(sides[0], width) @ prefix(sides[1], width).T
            return LossSum((scores / 0.05).logsumexp(1).sum(), 40)

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = matryoshka(loss_at, (4, 8, 16), (1, 2, 3), recompute=recompute)
        loss.total.backward()
        found.append((loss.total.detach(), queries.grad, documents.grad))
        kept.append(sum(size == 40 * 90 for size in sizes.values()))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
    assert kept == [3, 0]
