"""PackedBatch: the one shape in which tokens travel.

Sequences lie end to end without padding; `cu_seqlens` says where each starts. No model function
takes padded input or a mask.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, Int32
from numpy.typing import NDArray
from torch import Tensor

from mgte.errors import DataError

# One sequence as a caller may give it.
TokenIds = Sequence[int | np.integer[Any]] | NDArray[np.integer[Any]]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PackedBatch:
    """Several token sequences, end to end.

    Attributes:
        input_ids: Token ids.
        position_ids: Position of each token inside its own sequence, from 0.
        cu_seqlens: Where each sequence starts, and the total; the first entry is 0.
        seqlens: Tokens per sequence, on the host, so that no kernel launch waits for a copy.
        token_type_ids: Segment of each token; None means all 0.
    """

    input_ids: Int[Tensor, " tokens"]
    position_ids: Int[Tensor, " tokens"]
    cu_seqlens: Int32[Tensor, " seqs_plus_1"]
    seqlens: tuple[int, ...]
    token_type_ids: Int[Tensor, " tokens"] | None = None

    def __len__(self) -> int:
        return len(self.seqlens)

    @property
    def num_tokens(self) -> int:
        """Tokens of all sequences together."""
        return sum(self.seqlens)

    @property
    def max_seqlen(self) -> int:
        """Tokens of the longest sequence."""
        return max(self.seqlens)

    @property
    def offsets(self) -> tuple[int, ...]:
        """`cu_seqlens` on the host."""
        return (0, *accumulate(self.seqlens))

    def to(self, device: torch.device) -> "PackedBatch":
        """The same batch on another device."""
        types = self.token_type_ids
        return PackedBatch(
            input_ids=self.input_ids.to(device, non_blocking=True),
            position_ids=self.position_ids.to(device, non_blocking=True),
            cu_seqlens=self.cu_seqlens.to(device, non_blocking=True),
            seqlens=self.seqlens,
            token_type_ids=None if types is None else types.to(device, non_blocking=True),
        )


def pack(
    sequences: Sequence[TokenIds],
    *,
    token_type_ids: Sequence[TokenIds] | None = None,
    device: torch.device | None = None,
) -> PackedBatch:
    """Lay token id sequences end to end.

    Args:
        sequences: Token ids, at least one sequence, none empty.
        token_type_ids: Segment ids of the same lengths; None means all 0.
        device: Where the tensors go; None means the CPU.

    Returns:
        The batch, sequences in the given order.

    Raises:
        DataError: There is no sequence, one is empty, or the segment ids differ in length.
    """
    if not sequences:
        raise DataError("pack: got no sequence, expected at least one")
    seqlens = tuple(len(sequence) for sequence in sequences)
    if 0 in seqlens:
        raise DataError(f"sequence {seqlens.index(0)}: has no tokens, expected at least one")
    if token_type_ids is not None and tuple(len(types) for types in token_type_ids) != seqlens:
        raise DataError("token_type_ids: lengths differ from those of the token id sequences")
    cu_seqlens = np.concatenate(([0], np.cumsum(seqlens)))
    starts = np.repeat(cu_seqlens[:-1], seqlens)
    batch = PackedBatch(
        input_ids=_flatten(sequences),
        position_ids=torch.from_numpy(np.arange(len(starts)) - starts),
        cu_seqlens=torch.from_numpy(cu_seqlens.astype(np.int32)),
        seqlens=seqlens,
        token_type_ids=None if token_type_ids is None else _flatten(token_type_ids),
    )
    return batch if device is None else batch.to(device)


def unpack(values: Tensor, batch: PackedBatch) -> list[Tensor]:
    """Split per-token values `[tokens, ...]` into one tensor per sequence."""
    return list(values.split(batch.seqlens))


def _flatten(sequences: Sequence[TokenIds]) -> Int[Tensor, " tokens"]:
    return torch.from_numpy(np.concatenate([np.asarray(ids, np.int64) for ids in sequences]))
