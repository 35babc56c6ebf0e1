"""What kernels take and give, and the seam that both implementations fill.

Legend: T tokens of the batch, R rows (tokens whose result is wanted), W width of a row.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

ActivationName = Literal["gelu", "gelu_tanh", "silu", "relu", "tanh"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AttentionShape:
    """What varies between layers and models.

    Attributes:
        num_heads: Query heads.
        num_key_value_heads: Key/value heads, a divisor of `num_heads`.
        head_dim: Width of one head.
        scale: Factor on the scores before softmax.
        window: A token sees keys with |i - j| <= window; None means the whole sequence.
        is_causal: Whether token i sees only keys j <= i.
    """

    num_heads: int
    num_key_value_heads: int
    head_dim: int
    scale: float
    window: int | None = None
    is_causal: bool = False


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AttentionInput:
    """Projected queries, keys and values; any row stride.

    Attributes:
        queries: `[R, num_heads * head_dim]`.
        keys: `[T, num_key_value_heads * head_dim]`.
        values: The same for values.
        cu_seqlens: int32 starts of the sequences, and T.
        max_seqlen: Tokens of the longest sequence.
        rows: int64 token of each query row; None means that row i is token i.
        packed: Keys and values packed beforehand by `pack_keys_values`; None packs on the way.
    """

    queries: Tensor
    keys: Tensor
    values: Tensor
    cu_seqlens: Tensor
    max_seqlen: int
    rows: Tensor | None = None
    packed: tuple[Tensor, Tensor] | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Projection:
    """What a linear layer hands on: the true value is `values * scale[:, None] + bias`.

    Attributes:
        values: float32 or bfloat16 `[rows, W]`.
        scale: float32 `[rows]` still to be multiplied in (8-bit products); None means 1.
        bias: float32 `[W]` still to be added; None means none.
    """

    values: Tensor
    scale: Tensor | None = None
    bias: Tensor | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class EncodedRows:
    """What a linear layer takes.

    Attributes:
        values: float32, bfloat16, or uint8 codes `[rows, W]` with zero point 128.
        scale: float32 `[rows]` of the codes; None unless uint8.
    """

    values: Tensor
    scale: Tensor | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Rotation:
    """What happens to queries and keys after their projection.

    Attributes:
        head_dim: Width of one head.
        num_heads: Heads that are turned, first ones of the row; 0 turns none.
        cosines: float32 `[positions, head_dim / 2]`; None if no head is turned.
        sines: The same.
        positions: int64 position of each row; None if no head is turned.
        query_scale: float32 `[rows]`, multiplied onto the first `num_scaled_heads` heads.
        num_scaled_heads: Query heads.
    """

    head_dim: int
    num_heads: int = 0
    cosines: Tensor | None = None
    sines: Tensor | None = None
    positions: Tensor | None = None
    query_scale: Tensor | None = None
    num_scaled_heads: int = 0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NormWeights:
    """One norm.

    Attributes:
        weight: float32 `[W]`.
        bias: float32 `[W]` or None.
        epsilon: Added to the variance.
        is_rms: RMSNorm instead of LayerNorm.
    """

    weight: Tensor
    bias: Tensor | None
    epsilon: float
    is_rms: bool


class KernelSet(Protocol):
    """The work between two matrix products. Every call computes on the calling thread.

    Attributes:
        name: Short name for reports.
    """

    name: str

    def unsupported(self, shape: AttentionShape, dtype: torch.dtype) -> str | None:
        """Why attention of this kind cannot run here, as the end of a sentence; None if it can."""
        ...

    def attention(
        self, inputs: AttentionInput, shape: AttentionShape, output: Tensor, begin: int
    ) -> None:
        """Attention of query rows `begin .. begin + len(output)`, written to `output`."""
        ...

    def packed_room(
        self, inputs: AttentionInput, shape: AttentionShape
    ) -> tuple[Tensor, Tensor] | None:
        """Empty buffers for `pack_keys_values`; None if this set does not pack."""
        ...

    def pack_keys_values(self, inputs: AttentionInput, shape: AttentionShape, heads: range) -> None:
        """Pack some key/value heads into `inputs.packed`, for calls that share them."""
        ...

    def rotate(self, source: Projection, rotation: Rotation, target: Tensor) -> None:
        """Apply scale, bias and rotation to the source rows, and write them to `target`."""
        ...

    def norm(
        self,
        source: Projection,
        residual: Tensor | None,
        weights: NormWeights | None,
        *,
        summed: Tensor | None = None,
        normed: Tensor | None = None,
        encoded: EncodedRows | None = None,
    ) -> None:
        """Sum source and residual into `summed`, its norm into `normed` and, encoded, `encoded`.

        `summed` and `normed` are contiguous float32 and may be the residual itself. Without
        weights the norm is the identity.
        """
        ...

    def activate(
        self, source: Projection, activation: ActivationName, target: EncodedRows, *, is_gated: bool
    ) -> None:
        """act(source), or act(first half) * second half, encoded into `target`."""
        ...

    def encode(self, values: Tensor, target: EncodedRows) -> None:
        """Rows as 8-bit codes with one scale per row."""
        ...
