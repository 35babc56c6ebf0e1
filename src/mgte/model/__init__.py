"""The one encoder, its heads, and the records that configure them."""

from mgte.model.attention import choose_backend, varlen_attention
from mgte.model.attention_backends import BACKENDS, AttentionBackend, AttentionSpec
from mgte.model.build import Model, build_model
from mgte.model.config import EncoderConfig, HeadConfig, HeadKind, RopeConfig
from mgte.model.embedding import EmbeddingModel
from mgte.model.encoder import Encoder, logn_query_scale
from mgte.model.init import init_weights
from mgte.model.masked_lm import MaskedLM
from mgte.model.outputs import EmbeddingOutput, SparseWeights, sparse_weights
from mgte.model.reranker import RerankerModel
from mgte.model.rope import rope_frequencies, rope_table

__all__ = [
    "BACKENDS",
    "AttentionBackend",
    "AttentionSpec",
    "EmbeddingModel",
    "EmbeddingOutput",
    "Encoder",
    "EncoderConfig",
    "HeadConfig",
    "HeadKind",
    "MaskedLM",
    "Model",
    "RerankerModel",
    "RopeConfig",
    "SparseWeights",
    "build_model",
    "choose_backend",
    "init_weights",
    "logn_query_scale",
    "rope_frequencies",
    "rope_table",
    "sparse_weights",
    "varlen_attention",
]
