"""The arithmetic of merging, tensor by tensor."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

# Above this cosine the sphere is flat within float32, and the sine in the denominator vanishes.
_PARALLEL = 0.9995


def linear(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Weighted mean.

    Args:
        tensors: Tensors of one shape.
        weights: One per tensor; they need not add up to 1.

    Returns:
        Their mean. Source: model soups, arXiv 2203.05482.
    """
    total = torch.zeros_like(tensors[0])
    for tensor, weight in zip(tensors, weights, strict=True):
        total += tensor * (weight / sum(weights))
    return total


def slerp(first: Tensor, second: Tensor, share: float) -> Tensor:
    """Spherical interpolation of two tensors, taken as vectors.

    Args:
        first: Where the walk starts.
        second: Tensor of the same shape, where it ends.
        share: How far to walk, 0 to 1.

    Returns:
        sin((1 - t) w) / sin(w) * first + sin(t w) / sin(w) * second, with w the angle between
        them; the linear mean where they are nearly parallel or one is 0. Source: Shoemake 1985.
    """
    norms = float(first.norm() * second.norm())
    cosine = float((first * second).sum()) / norms if norms > 0 else 1.0
    if abs(cosine) > _PARALLEL:
        return linear([first, second], [1.0 - share, share])
    angle = math.acos(cosine)
    from_first = math.sin((1.0 - share) * angle) / math.sin(angle)
    return from_first * first + math.sin(share * angle) / math.sin(angle) * second


def trim_threshold(vectors: Sequence[Tensor], density: float) -> float:
    """The size from which on an entry of a model's change is kept.

    Args:
        vectors: The change of every tensor of the model.
        density: Share of all entries that is kept.

    Returns:
        The smallest absolute value that is kept; entries of equal size are all kept.
    """
    sizes = torch.cat([vector.flatten().abs() for vector in vectors])
    num_kept = max(1, round(density * sizes.numel()))
    return float(sizes.kthvalue(sizes.numel() - num_kept + 1).values)


def ties_vector(
    vectors: Sequence[Tensor], weights: Sequence[float], thresholds: Sequence[float]
) -> Tensor:
    """What several models' changes of one tensor agree on.

    Args:
        vectors: Each model's change of the tensor.
        weights: One per model.
        thresholds: Entries smaller than this are trimmed, one per model.

    Returns:
        Per entry, the weighted mean of the changes that have the sign of their weighted sum.
        Source: TIES, arXiv 2306.01708, algorithm 1.
    """
    total = torch.zeros_like(vectors[0])
    trimmed = []
    for vector, weight, threshold in zip(vectors, weights, thresholds, strict=True):
        kept = torch.where(vector.abs() >= threshold, vector, 0.0)
        trimmed.append(kept)
        total += weight * kept
    sign = total.sign()
    merged, share = torch.zeros_like(total), torch.zeros_like(total)
    for kept, weight in zip(trimmed, weights, strict=True):
        agrees = (kept.sign() == sign) & (kept != 0)
        merged += torch.where(agrees, weight * kept, 0.0)
        share += torch.where(agrees, weight, 0.0)
    return torch.where(share > 0, merged / share.clamp(min=1e-30), 0.0)
