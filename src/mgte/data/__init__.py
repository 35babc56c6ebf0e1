"""Training data: preparation, the plan of batches, and the batches."""

from mgte.data.batches import (
    Batch,
    ContrastiveBatch,
    MaskedBatch,
    RerankBatch,
    StepBatches,
    TokenArray,
    VectorBatch,
)
from mgte.data.config import (
    DataConfig,
    DatasetConfig,
    LengthBucket,
    Points,
    SamplingConfig,
    Scheduled,
    SourceConfig,
)

__all__ = [
    "Batch",
    "ContrastiveBatch",
    "DataConfig",
    "DatasetConfig",
    "LengthBucket",
    "MaskedBatch",
    "Points",
    "RerankBatch",
    "SamplingConfig",
    "Scheduled",
    "SourceConfig",
    "StepBatches",
    "TokenArray",
    "VectorBatch",
]
