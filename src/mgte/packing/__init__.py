"""Tokens as tensors: the packed batch, the plan of batches, reductions per sequence."""

from mgte.packing.batch import PackedBatch, TokenIds, pack, unpack
from mgte.packing.plan import plan_balanced_batches, plan_batches
from mgte.packing.segments import (
    Pooling,
    first_rows,
    last_rows,
    pool,
    rows_of_pooling,
    segment_max,
    segment_mean,
    sequence_of_token,
)

__all__ = [
    "PackedBatch",
    "Pooling",
    "TokenIds",
    "first_rows",
    "last_rows",
    "pack",
    "plan_balanced_batches",
    "plan_batches",
    "pool",
    "rows_of_pooling",
    "segment_max",
    "segment_mean",
    "sequence_of_token",
    "unpack",
]
