"""Workspace: named buffers that are used again, so that the system need not map fresh memory.

Mapping and clearing pages for large temporaries at every call cost up to 15 % of an 8-bit pass.
"""

import math

import torch
from torch import Tensor


class Workspace:
    """Buffers by name. Not shared between threads, except where a caller hands one around."""

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """A buffer of this shape with unspecified, finite content, valid until the next call.

        Args:
            name: What it is for; each name has one buffer.
            shape: Wanted shape.
            dtype: Wanted dtype.

        Returns:
            A contiguous tensor.
        """
        key = f"{name}.{dtype}"
        size = math.prod(shape)
        buffer = self._buffers.get(key)
        if buffer is None or buffer.numel() < size:
            # Rows that only pad a product are computed too: zeros keep them free of slow numbers.
            buffer = torch.zeros(size, dtype=dtype)
            self._buffers[key] = buffer
        return buffer[:size].view(shape)
