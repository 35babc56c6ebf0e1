"""Per-sequence reductions over packed tokens: first, last, mean, max."""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mgte.packing.batch import PackedBatch

Pooling = Literal["cls", "last", "mean", "max"]


def first_rows(batch: PackedBatch) -> Int[Tensor, " seqs"]:
    """Index of the first token of every sequence."""
    return batch.cu_seqlens[:-1].long()


def last_rows(batch: PackedBatch) -> Int[Tensor, " seqs"]:
    """Index of the last token of every sequence."""
    return batch.cu_seqlens[1:].long() - 1


def sequence_of_token(batch: PackedBatch) -> Int[Tensor, " tokens"]:
    """Index of the sequence that each token belongs to."""
    lengths = batch.cu_seqlens.diff().long()
    numbers = torch.arange(len(batch), device=lengths.device)
    return torch.repeat_interleave(numbers, lengths, output_size=batch.input_ids.shape[0])


def segment_mean(values: Float[Tensor, "tokens dim"], batch: PackedBatch) -> Tensor:
    """Mean over the tokens of every sequence, summed in float32: `[seqs, dim]`."""
    return _reduce(values, batch, "mean")


def segment_max(values: Float[Tensor, "tokens dim"], batch: PackedBatch) -> Tensor:
    """Largest value over the tokens of every sequence: `[seqs, dim]`."""
    return _reduce(values, batch, "max")


def rows_of_pooling(pooling: Pooling, batch: PackedBatch) -> Int[Tensor, " seqs"] | None:
    """Rows whose last-layer state a pooling reads; None if it reads all of them."""
    finder = _ROWS.get(pooling)
    return None if finder is None else finder(batch)


def pool(values: Float[Tensor, "tokens dim"], batch: PackedBatch, pooling: Pooling) -> Tensor:
    """One vector per sequence from the states of all tokens: `[seqs, dim]`."""
    rows = rows_of_pooling(pooling, batch)
    if rows is not None:
        return values[rows]
    return segment_mean(values, batch) if pooling == "mean" else segment_max(values, batch)


def _reduce(values: Tensor, batch: PackedBatch, kind: str) -> Tensor:
    lengths = batch.cu_seqlens.diff().long()
    reduced: Tensor = torch.segment_reduce(values.float(), kind, lengths=lengths, axis=0)
    return reduced.to(values.dtype)


_ROWS: dict[str, Callable[[PackedBatch], Tensor]] = {"cls": first_rows, "last": last_rows}
