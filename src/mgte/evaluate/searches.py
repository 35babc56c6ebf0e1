"""Search: every ranking of one collection that was asked for, and how long each part took."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np

from mgte.errors import ConfigError, DataError
from mgte.evaluate.bm25 import bm25_rankings
from mgte.evaluate.collection import Collection
from mgte.evaluate.rankings import complete, hybrid_ranking, rerank, without_own
from mgte.evaluate.retrieval_config import Mode, RetrievalConfig
from mgte.evaluate.subjects.subject import PairScorer, Role, TextEncoder
from mgte.search import (
    FloatArray,
    InvertedLists,
    Ranking,
    TextVectors,
    encode_texts,
    nearest_rows,
    search_in_parts,
)
from mgte.vectors import Embeddings, SparseVectors

Rankings = list[Ranking]
Pairs = list[tuple[Ranking, Ranking]]
Value = TypeVar("Value")

_SPARSE_MODES = ("sparse", "hybrid")
_DENSE_MODES = ("dense", "hybrid")
_QUERIES_PER_RERANK = 64


class Search:
    """The searches of one collection.

    Args:
        encoder: The model.
        collection: Documents and queries.
        config: How they are searched.

    Attributes:
        seconds: Name of a part of the work to how long it took.
        num_documents_cut: Documents of which the model did not see the end.
        num_queries_cut: Queries of which it did not see the end.
    """

    def __init__(
        self, encoder: TextEncoder, collection: Collection, config: RetrievalConfig
    ) -> None:
        if config.dim is not None and not encoder.has_dense:
            raise ConfigError(
                f"dim: got {config.dim} for {encoder.name}, which has no dense vectors"
            )
        self._encoder = encoder
        self._collection = collection
        self._config = config
        self.seconds: dict[str, float] = {}
        self.num_documents_cut = 0
        self.num_queries_cut = 0

    def run(self, wanted: Sequence[Mode], reranker: PairScorer | None) -> dict[Mode, Rankings]:
        """Rank the documents for every query.

        Args:
            wanted: Ways of ranking.
            reranker: Needed for "reranked".

        Returns:
            Mode to one ranking per query.

        Raises:
            DataError: A model gives NaN or infinity.
        """
        found: dict[Mode, Rankings] = {}
        top_k = self._config.top_k
        first = first_stage(self._config, self._encoder)
        needed = {*wanted, first} if "reranked" in wanted else {*wanted}
        if "bm25" in needed:
            found["bm25"] = self._timed("bm25", lambda: bm25_rankings(self._collection, top_k))
        if needed - {"bm25", "reranked"}:
            found |= self._by_vectors(is_sparse=bool({*_SPARSE_MODES} & needed))
        if "reranked" in wanted and reranker is not None:
            best = found[first]
            found["reranked"] = self._timed(
                "rerank", lambda: reranked(best, self._collection, reranker, self._config)
            )
        return {mode: rankings for mode, rankings in found.items() if mode in wanted}

    def _by_vectors(self, *, is_sparse: bool) -> dict[Mode, Rankings]:
        is_large = len(self._collection.documents) > self._config.documents_per_part
        search = self._search_in_parts if is_large else self._search_at_once
        found, pairs = search(sparse=is_sparse)
        if pairs:
            found["hybrid"] = [
                hybrid_ranking(dense, sparse, self._config.hybrid, self._config.top_k)
                for dense, sparse in pairs
            ]
        return found

    def _search_at_once(self, *, sparse: bool) -> tuple[dict[Mode, Rankings], Pairs]:
        """Rankings, and those that the hybrid adds: none without sparse weights."""
        queries, documents = self._timed("embed", lambda: self._embed(sparse=sparse))
        depth = self._config.top_k + self._collection.num_left_out
        device = self._encoder.device
        found: dict[Mode, Rankings] = {}
        if self._encoder.has_dense:
            q, d = self._dense(queries), self._dense(documents)
            found["dense"] = self._timed(
                "dense", lambda: self._others(nearest_rows(q, d, depth, device=device))
            )
        if queries.sparse is None or documents.sparse is None:
            return found, []
        weights, lists = queries.sparse, InvertedLists(documents.sparse)
        found["sparse"] = self._timed(
            "sparse", lambda: self._others(lists.best_rows(weights, depth))
        )
        if "dense" not in found:
            return found, []
        pairs = list(zip(found["dense"], found["sparse"], strict=True))
        if self._config.hybrid.missing == "computed":
            pairs = _completed(pairs, (q, d), weights, lists)
        return found, pairs

    def _search_in_parts(self, *, sparse: bool) -> tuple[dict[Mode, Rankings], Pairs]:
        """The same without the vectors of all documents at once."""
        has_dense = self._encoder.has_dense
        if sparse and has_dense and self._config.hybrid.missing == "computed":
            count = len(self._collection.documents)
            raise ConfigError(
                f"hybrid.missing: got 'computed' for {count:,} documents, "
                "which are searched in parts, expected 'zero'",
                hint="or raise documents_per_part, if memory allows",
            )
        queries = self._timed("embed", lambda: self._embed_queries(sparse=sparse))
        if has_dense:
            self._dense(queries)
        parts = search_in_parts(
            partial(self._encode, role="document", sparse=sparse),
            queries,
            [document.full_text for document in self._collection.documents],
            self._config.top_k + self._collection.num_left_out,
            device=self._encoder.device,
            texts_per_part=self._config.documents_per_part,
        )
        self.num_documents_cut = parts.num_truncated
        for name, seconds in parts.seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        found: dict[Mode, Rankings] = {}
        if parts.dense is not None:
            found["dense"] = self._others(parts.dense)
        if parts.sparse is not None:
            found["sparse"] = self._others(parts.sparse)
        if len(found) < 2:
            return found, []
        return found, list(zip(found["dense"], found["sparse"], strict=True))

    def _dense(self, vectors: TextVectors) -> FloatArray:
        if vectors.dense is None:
            raise DataError(f"{self._collection.name}: the model gave no dense vectors")
        return vectors.dense

    def _others(self, rankings: Rankings) -> Rankings:
        """The best documents that are not the query itself, or excluded for it."""
        return without_own(rankings, self._collection, self._config.top_k)

    def _embed(self, *, sparse: bool) -> tuple[TextVectors, TextVectors]:
        queries = self._embed_queries(sparse=sparse)
        documents = encode_texts(
            partial(self._encode, role="document", sparse=sparse),
            [document.full_text for document in self._collection.documents],
        )
        self.num_documents_cut = documents.num_truncated
        return queries, documents

    def _embed_queries(self, *, sparse: bool) -> TextVectors:
        queries = encode_texts(
            partial(self._encode, role="query", sparse=sparse),
            [query.text for query in self._collection.queries],
        )
        self.num_queries_cut = queries.num_truncated
        return queries

    def _encode(self, texts: Sequence[str], *, role: Role, sparse: bool) -> Embeddings:
        found = self._encoder.encode(texts, role=role, sparse=sparse)
        if self._config.dim is None or found.dense is None:
            return found
        dense = narrowed(found.dense, self._config.dim, is_cosine=self._encoder.is_cosine)
        return replace(found, dense=dense)

    def _timed(self, name: str, work: Callable[[], Value]) -> Value:
        began = time.perf_counter()
        value = work()
        self.seconds[name] = time.perf_counter() - began
        return value


def first_stage(config: RetrievalConfig, encoder: TextEncoder | None) -> Mode:
    """The ranking whose best documents are reranked.

    Args:
        config: What was asked for.
        encoder: The model; None without one.

    Returns:
        A mode that the model can.

    Raises:
        ConfigError: It cannot what was asked for.
    """
    asked = config.first_stage
    if encoder is None:
        if asked not in ("", "bm25"):
            raise ConfigError(f"first_stage: got {asked!r} without an embedding model")
        return "bm25"
    if asked in _SPARSE_MODES and not encoder.has_sparse:
        raise ConfigError(f"first_stage: {asked!r} needs a model with sparse token weights")
    if asked in _DENSE_MODES and not encoder.has_dense:
        raise ConfigError(f"first_stage: {asked!r} needs a model with dense vectors")
    if asked:
        return asked
    if not encoder.has_dense:
        return "sparse"
    return "hybrid" if encoder.has_sparse else "dense"


def reranked(
    first: Rankings, collection: Collection, reranker: PairScorer, config: RetrievalConfig
) -> Rankings:
    """Rankings whose best documents a reranker put in a new order.

    Args:
        first: One ranking per query.
        collection: What was searched.
        reranker: Scores the pairs.
        config: How deep, and how much of the first ranking is kept.

    Returns:
        One ranking per query.

    Raises:
        DataError: The reranker gives NaN or infinity.
    """
    done: Rankings = []
    for start in range(0, len(first), _QUERIES_PER_RERANK):
        tops = [
            ranking.first(config.rerank_depth)
            for ranking in first[start : start + _QUERIES_PER_RERANK]
        ]
        pairs = [
            (query.text, collection.documents[row].full_text)
            for query, top in zip(collection.queries[start:], tops, strict=False)
            for row in top.rows.tolist()
        ]
        scores = reranker.score(pairs)
        parts = np.split(scores, np.cumsum([len(top) for top in tops])[:-1])
        done += [
            rerank(ranking, part, blend=config.rerank_blend)
            for ranking, part in zip(first[start:], parts, strict=False)
        ]
    return done


def narrowed(dense: FloatArray, dim: int, *, is_cosine: bool) -> FloatArray:
    """The leading dimensions of vectors.

    Args:
        dense: float32 `[num_texts, width]`.
        dim: Dimensions to keep.
        is_cosine: Whether the rest gets unit length again.

    Returns:
        float32 `[num_texts, dim]`.

    Raises:
        ConfigError: The vectors are not as wide.
    """
    width = dense.shape[1]
    if not 1 <= dim <= width:
        raise ConfigError(f"dim: got {dim}, expected 1 to {width}, the width of the model")
    if dim == width:
        return dense
    cut = np.ascontiguousarray(dense[:, :dim])
    if is_cosine:
        cut /= np.maximum(np.linalg.norm(cut, axis=1, keepdims=True), 1e-12)
    return cut


def _completed(
    pairs: Sequence[tuple[Ranking, Ranking]],
    dense: tuple[FloatArray, FloatArray],
    weights: SparseVectors,
    lists: InvertedLists,
) -> Pairs:
    """Both rankings of every query over the documents of either."""
    queries, documents = dense
    done = []
    for (by_dense, by_sparse), query, sparse in zip(
        pairs, queries, lists.scores(weights), strict=True
    ):
        rows = np.union1d(by_dense.rows, by_sparse.rows)
        done.append(
            (
                complete(by_dense, rows, documents[rows] @ query),
                complete(by_sparse, rows, sparse[rows]),
            )
        )
    return done
