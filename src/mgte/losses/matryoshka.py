"""Elastic vectors: the same loss over several leading widths of the vectors, weighted."""

from collections.abc import Callable, Sequence

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from mgte.losses.sums import LossSum


def prefix(vectors: Float[Tensor, "rows dim"], width: int) -> Float[Tensor, "rows width"]:
    """Leading components, normalised anew.

    Args:
        vectors: Whole vectors, of any length.
        width: Components that are kept.

    Returns:
        Unit vectors (zeros stay zeros).
    """
    return functional.normalize(vectors[:, :width], dim=-1)


def matryoshka(
    loss_at: Callable[[int], LossSum],
    widths: Sequence[int],
    weights: Sequence[float],
    *,
    recompute: bool = False,
) -> LossSum:
    """Weighted sum of a loss over widths.

    Args:
        loss_at: The loss of vectors cut to a width.
        widths: Widths, at least one.
        weights: Factor of each width.
        recompute: Whether scores of a width are computed again in the backward pass, so that those
            of one width exist at once instead of those of all. The numbers are the same.

    Returns:
        Sum, with the number of items of one width.

    Source: Matryoshka learning, arXiv 2205.13147; mGTE, arXiv 2407.19669, equation 3.
    """

    def loss_of(width: int) -> LossSum:
        if not recompute:
            return loss_at(width)
        again: LossSum = checkpoint(loss_at, width, use_reentrant=False, preserve_rng_state=False)
        return again

    losses = [loss_of(width) for width in widths]
    total = sum(
        (weight * loss.total for weight, loss in zip(weights, losses, strict=True)),
        start=losses[0].total.new_zeros(()),
    )
    return LossSum(total, losses[0].count)
