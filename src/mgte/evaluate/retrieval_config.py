"""RetrievalConfig: how collections are searched. Loads no torch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mgte.config import from_dict, to_dict
from mgte.errors import ConfigError

Mode = Literal["dense", "sparse", "hybrid", "reranked", "bm25"]
MODES: tuple[Mode, ...] = ("dense", "sparse", "hybrid", "reranked", "bm25")
SparseScale = Literal["raw", "query"]


@dataclass(frozen=True, kw_only=True, slots=True)
class HybridConfig:
    """How dense and sparse scores become one.

    score = dense + sparse_weight * sparse, over the documents that either search found.

    Attributes:
        sparse_weight: Factor of the sparse score. mGTE used 0.001 to 0.01 per test, GTE's own
            code 0.1, its model card 0.3.
        sparse_scale: "raw" takes sparse scores as they are; "query" divides them by the query's
            largest one, so that one weight suits models whose weights are of another size.
        missing: Score of a document that one of the searches did not find: "zero" as mGTE, or
            "computed" exactly.
    """

    sparse_weight: float = 0.1
    sparse_scale: SparseScale = "raw"
    missing: Literal["zero", "computed"] = "zero"

    def __post_init__(self) -> None:
        if not math.isfinite(self.sparse_weight):
            raise ConfigError(f"sparse_weight: got {self.sparse_weight}, expected a finite number")
        if self.sparse_scale not in ("raw", "query"):
            raise ConfigError(f"sparse_scale: got {self.sparse_scale!r}, expected 'raw' or 'query'")
        if self.missing not in ("zero", "computed"):
            raise ConfigError(f"missing: got {self.missing!r}, expected 'zero' or 'computed'")


@dataclass(frozen=True, kw_only=True, slots=True)
class RetrievalConfig:
    """How collections are searched.

    Attributes:
        hybrid: How dense and sparse scores become one.
        dim: Leading dimensions of the dense vectors; None means all.
        top_k: Documents that each search finds.
        rerank_depth: Documents per query that are reranked, the best of the first stage. Source:
            mGTE, arXiv 2407.19669, section 4.
        first_stage: The ranking that is reranked; "" takes the hybrid one, the dense or sparse
            one of models that have no other, and BM25 where there is no encoder.
        rerank_blend: Share of the first ranking in the reranked one, 0 to 1; see `rerank`.
        documents_per_part: Documents whose vectors are held at once; larger collections are
            searched part by part while they are embedded, with the same results.
        max_tokens_per_batch: Token budget of one batch; None means what suits the device.
        show_progress: Progress bars; None means on a terminal, for long work.
    """

    hybrid: HybridConfig = field(default_factory=HybridConfig)
    dim: int | None = None
    top_k: int = 1000
    rerank_depth: int = 100
    first_stage: Literal["", "dense", "sparse", "hybrid", "bm25"] = ""
    rerank_blend: float = 0.0
    documents_per_part: int = 500_000
    max_tokens_per_batch: int | None = None
    show_progress: bool | None = None

    def __post_init__(self) -> None:
        for name in ("top_k", "rerank_depth", "documents_per_part"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: got {getattr(self, name)}, expected at least 1")
        if not 0.0 <= self.rerank_blend <= 1.0:
            raise ConfigError(f"rerank_blend: got {self.rerank_blend}, expected 0 to 1")

    def changed(self, changes: Mapping[str, Any]) -> "RetrievalConfig":
        """The same with some fields changed, also single ones of `hybrid`.

        Args:
            changes: Plain values of fields.

        Returns:
            The new record.

        Raises:
            ConfigError: A field is unknown or its value wrong.
        """
        values = to_dict(self)
        for name, value in changes.items():
            is_record = isinstance(value, Mapping) and isinstance(values.get(name), dict)
            values[name] = values[name] | dict(value) if is_record else value
        return from_dict(RetrievalConfig, values, "retrieval")
