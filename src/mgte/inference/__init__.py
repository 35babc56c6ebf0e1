"""Texts to vectors and scores: Embedder, Reranker, and the engine below them."""

from mgte.inference.cores import available_cores
from mgte.inference.embedder import Embedder
from mgte.inference.requests import LoadOptions
from mgte.inference.reranker import PairScores, RankedDocument, Reranker

__all__ = [
    "Embedder",
    "LoadOptions",
    "PairScores",
    "RankedDocument",
    "Reranker",
    "available_cores",
]
