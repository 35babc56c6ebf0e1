"""The projection of teacher's vectors keeps inner products as well as any can."""

import pytest
import torch

from mgte.losses import principal_projection


def made(rows: int = 40, width: int = 12) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    scales = torch.linspace(3, 0.1, width)
    turn = torch.linalg.qr(torch.randn(width, width, generator=generator)).Q
    return (torch.randn(rows, width, generator=generator) * scales) @ turn + 0.5


def test_a_width_that_is_large_enough_keeps_inner_products_exactly() -> None:
    vectors = made()
    for width in (12, 20):
        matrix = principal_projection(vectors, width)
        assert matrix.shape == (12, width)
        projected = vectors @ matrix
        torch.testing.assert_close(projected @ projected.T, vectors @ vectors.T)


@pytest.mark.parametrize("width", [1, 3, 8])
def test_no_projection_of_that_width_keeps_them_better(width: int) -> None:
    vectors = made()
    gram = vectors @ vectors.T
    projected = vectors @ principal_projection(vectors, width)
    # The best approximation of that rank: the truncated singular value decomposition.
    u, s, _ = torch.linalg.svd(vectors, full_matrices=False)
    best = (u[:, :width] * s[:width] ** 2) @ u[:, :width].T
    torch.testing.assert_close(projected @ projected.T, best, rtol=1e-3, atol=1e-3)
    assert (gram - projected @ projected.T).norm() <= 1.0001 * (gram - best).norm()


def test_prefixes_are_projections_of_their_width() -> None:
    vectors = made()
    wide, narrow = principal_projection(vectors, 8), principal_projection(vectors, 3)
    torch.testing.assert_close(wide[:, :3], narrow)


def test_the_order_of_vectors_does_not_matter() -> None:
    vectors = made()
    torch.testing.assert_close(
        principal_projection(vectors, 5), principal_projection(vectors.flip(0), 5)
    )
