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
from mgte.data.description import DescribedBatch
from mgte.data.hashing import text_hash, text_hashes
from mgte.data.kind_writers import EncodeVectors
from mgte.data.language_sample import TextSample
from mgte.data.loader import LoadConfig, Loader, build_loader
from mgte.data.masking import MaskingConfig
from mgte.data.plan import BatchPlan, PlannedBatch, PlannedStep
from mgte.data.plan_summary import GroupSummary, PlanSummary
from mgte.data.prepare import prepare_dataset
from mgte.data.raw_texts import read_raw_texts
from mgte.data.row_costs import LoadKind, RowShape
from mgte.data.scheduled import value_at
from mgte.data.seeds import mix_seed
from mgte.data.train_tokenizer import TokenizerKind, train_tokenizer
from mgte.data.training_rows import TrainingRows
from mgte.data.wordpiece import KeptEntries

__all__ = [
    "Batch",
    "BatchPlan",
    "ContrastiveBatch",
    "DataConfig",
    "DatasetConfig",
    "DescribedBatch",
    "EncodeVectors",
    "GroupSummary",
    "KeptEntries",
    "LengthBucket",
    "LoadConfig",
    "LoadKind",
    "Loader",
    "MaskedBatch",
    "MaskingConfig",
    "PlanSummary",
    "PlannedBatch",
    "PlannedStep",
    "Points",
    "PreparedDataset",
    "RerankBatch",
    "RowShape",
    "SamplingConfig",
    "Scheduled",
    "SourceConfig",
    "StepBatches",
    "TextSample",
    "TokenArray",
    "TokenizerKind",
    "TrainingRows",
    "VectorBatch",
    "build_loader",
    "mix_seed",
    "open_dataset",
    "prepare_dataset",
    "read_raw_texts",
    "text_hash",
    "text_hashes",
    "train_tokenizer",
    "value_at",
]
