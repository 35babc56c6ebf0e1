"""Rotary position embedding: frequencies with NTK scaling, tables, and their application.

Legend: T tokens, N heads, H head_dim.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mgte.model.config import RopeConfig


def rope_frequencies(rope: RopeConfig, head_dim: int) -> Float[Tensor, " half"]:
    """Angle per position of each pair of dimensions, in float32 as the references compute it.

    NTK scaling by s is static: theta' = theta * s, and every frequency is divided by s^(2/H). The
    mixed variant keeps theta and divides frequency m = 1..H/2 by exp(a * m^b) with
    a = ln(s) / (H/2)^b.

    Source: GTE new-impl modeling.py, NTKScalingRotaryEmbedding.
    """
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim
    factor = rope.ntk_factor
    if factor == 1.0:
        frequencies = 1.0 / rope.theta**exponents
    elif rope.ntk_mixed_b is None:
        frequencies = 1.0 / (rope.theta * factor) ** exponents / factor ** (2 / head_dim)
    else:
        half = head_dim // 2
        scale = math.log(factor) / half**rope.ntk_mixed_b
        numbers = torch.arange(1, half + 1, dtype=torch.float32)
        frequencies = 1.0 / rope.theta**exponents / (scale * numbers**rope.ntk_mixed_b).exp()
    return frequencies / rope.linear_factor


def rope_table(rope: RopeConfig, head_dim: int, num_positions: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines `[num_positions, head_dim / 2]` in float32."""
    positions = torch.arange(num_positions, dtype=torch.float32)
    angles = torch.outer(positions, rope_frequencies(rope, head_dim))
    return angles.cos(), angles.sin()


def rotate(
    x: Float[Tensor, "T N H"], cos: Float[Tensor, "T half"], sin: Float[Tensor, "T half"]
) -> Float[Tensor, "T N H"]:
    """Turn each pair (x_i, x_{i + H/2}) by its angle (the "neox" pairing)."""
    cos, sin = cos[:, None], sin[:, None]
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


class RopeTables:
    """Tables by (settings, device, dtype), built when first needed and grown when too short.

    They are not buffers of the model: what follows from the config does not belong into a
    checkpoint, and a meta-device load must not leave it uninitialised.
    """

    def __init__(self, head_dim: int) -> None:
        self._head_dim = head_dim
        self._tables: dict[tuple[RopeConfig, torch.device, torch.dtype], tuple[Tensor, Tensor]] = {}

    def at(
        self, rope: RopeConfig, positions: Int[Tensor, " T"], num_positions: int, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """Cosines and sines of the given positions, `[T, H / 2]` each."""
        key = (rope, positions.device, dtype)
        table = self._tables.get(key)
        if table is None or table[0].shape[0] < num_positions:
            cos, sin = rope_table(rope, self._head_dim, max(num_positions, 512))
            table = (cos.to(positions.device, dtype), sin.to(positions.device, dtype))
            self._tables[key] = table
        return table[0][positions], table[1][positions]
