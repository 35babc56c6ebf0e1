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
from mgte.data.dataset import PreparedDataset, open_dataset
from mgte.data.hashing import text_hash, text_hashes
from mgte.data.prepare import prepare_dataset
from mgte.data.raw_texts import read_raw_texts
from mgte.data.train_tokenizer import train_tokenizer

__all__ = [
    "Batch",
    "ContrastiveBatch",
    "DataConfig",
    "DatasetConfig",
    "LengthBucket",
    "MaskedBatch",
    "Points",
    "PreparedDataset",
    "RerankBatch",
    "SamplingConfig",
    "Scheduled",
    "SourceConfig",
    "StepBatches",
    "TokenArray",
    "VectorBatch",
    "open_dataset",
    "prepare_dataset",
    "read_raw_texts",
    "text_hash",
    "text_hashes",
    "train_tokenizer",
]
