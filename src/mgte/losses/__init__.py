"""Losses as pure functions of tensors; they return sums and counts, never means."""

from mgte.losses.distillation import margin_squared_error, ranking_divergence
from mgte.losses.embedding_distillation import cosine_distance, similarity_divergence
from mgte.losses.info_nce import (
    Form,
    PairBlocks,
    PairColumns,
    PairMasks,
    dense_blocks,
    info_nce,
    positive_is_first,
)
from mgte.losses.masked_lm import masked_lm_loss, vocabulary_cross_entropy
from mgte.losses.matryoshka import matryoshka, prefix
from mgte.losses.negatives import (
    PairTexts,
    either_left_out,
    left_out_by_margin,
    left_out_by_text,
)
from mgte.losses.projection import principal_projection
from mgte.losses.reranking import (
    binary_cross_entropy,
    listwise_cross_entropy,
    positive_leads,
    squared_error,
)
from mgte.losses.sparse_scores import TermWeights, sparse_scores
from mgte.losses.sums import LossSum

__all__ = [
    "Form",
    "LossSum",
    "PairBlocks",
    "PairColumns",
    "PairMasks",
    "PairTexts",
    "TermWeights",
    "binary_cross_entropy",
    "cosine_distance",
    "dense_blocks",
    "either_left_out",
    "info_nce",
    "left_out_by_margin",
    "left_out_by_text",
    "listwise_cross_entropy",
    "margin_squared_error",
    "masked_lm_loss",
    "matryoshka",
    "positive_is_first",
    "positive_leads",
    "prefix",
    "principal_projection",
    "ranking_divergence",
    "similarity_divergence",
    "sparse_scores",
    "squared_error",
    "vocabulary_cross_entropy",
]
