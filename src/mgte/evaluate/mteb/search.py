"""MtebSearch: dense, sparse, hybrid and reranked search as mteb's search, with our own searches."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np

from mgte.errors import ConfigError, DataError
from mgte.evaluate.collection import Collection
from mgte.evaluate.mteb.encoder import checked_width, differences, prompts_of_tasks
from mgte.evaluate.mteb.model_meta import ModelFacts, ModelType, make_model_meta
from mgte.evaluate.mteb.mteb_calls import document_texts, query_texts
from mgte.evaluate.mteb.task_encoder import TaskEncoder
from mgte.evaluate.retrieval_config import HybridConfig, RetrievalConfig
from mgte.evaluate.searches import Search, first_stage
from mgte.evaluate.subjects import Subject, TextEncoder
from mgte.search import FloatArray, InvertedLists, TextVectors, encode_texts
from mgte.text import Document, Query

MtebVariant = Literal["dense", "sparse", "hybrid", "reranked"]
VARIANTS: tuple[MtebVariant, ...] = ("dense", "sparse", "hybrid", "reranked")
Found = dict[str, dict[str, float]]

_MODEL_TYPES: Mapping[MtebVariant, ModelType] = {
    "dense": "dense",
    "sparse": "sparse",
    "hybrid": "hybrid",
    "reranked": "cross-encoder",
}


class MtebSearch:
    """A subject behind mteb's `SearchProtocol`, for retrieval and reranking tasks.

    Args:
        subject: An encoder, and a reranker for "reranked".
        variant: How documents are ranked. "reranked" reranks the top of the ranking that
            `first_stage` tells: the hybrid one, unless the config or the model says otherwise.
        config: How they are searched; its `top_k` gives way to mteb's.
        prompts: As in `MtebEncoder`.
        width: As in `MtebEncoder`.

    Raises:
        ConfigError: The variant is unknown or beyond the models, or the width is wrong.
        BackendUnavailableError: mteb is not installed.

    Attributes:
        mteb_model_meta: mteb's record of the models.
    """

    def __init__(
        self,
        subject: Subject,
        *,
        variant: MtebVariant = "hybrid",
        config: RetrievalConfig | None = None,
        prompts: Mapping[str, str] | None = None,
        width: int | None = None,
    ) -> None:
        _check_able(variant, subject)
        self._subject = subject
        self._encoder = subject.wanted_encoder("search")
        self._variant = variant
        self._config = config or RetrievalConfig()
        self._prompts = dict(prompts or prompts_of_tasks(subject.folder))
        self._width: int | None = None
        if self._encoder.has_dense:
            self._width = checked_width(self._encoder, width or self._config.dim)
        self._documents: tuple[Document, ...] = ()
        self.mteb_model_meta = make_model_meta(
            ModelFacts(
                name=self._encoder.name,
                revision=self._encoder.revision,
                model_type=_MODEL_TYPES[variant],
                max_length=self._encoder.max_length,
                width=self._width,
                is_cosine=self._encoder.is_cosine,
                has_prompts=bool(self._prompts),
                folder=subject.folder,
                experiment=self._experiment(prompts or {}),
            )
        )

    def index(
        self,
        corpus: Any,
        *,
        task_metadata: Any = None,
        hf_split: str = "",
        hf_subset: str = "",
        encode_kwargs: Any = None,
        num_proc: int | None = None,
        **options: Any,
    ) -> None:
        """Take the documents of a task.

        Args:
            corpus: Data set with "id", "text" and perhaps "title".
            task_metadata: Not used.
            hf_split: Not used.
            hf_subset: Not used.
            encode_kwargs: Not used.
            num_proc: Not used.
            **options: Not used.
        """
        named = zip(map(str, list(corpus["id"])), document_texts(corpus), strict=True)
        # Equal scores are ranked by falling id, as trec_eval does.
        ordered = sorted(named, key=lambda item: item[0], reverse=True)
        self._documents = tuple(Document(doc_id=i, title="", text=text) for i, text in ordered)

    def search(
        self,
        queries: Any,
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        top_k: int,
        encode_kwargs: Any = None,
        top_ranked: Mapping[str, Sequence[str]] | None = None,
        **options: Any,
    ) -> Found:
        """Rank documents for every query.

        Args:
            queries: Data set with "id" and "text", perhaps "instruction".
            task_metadata: What mteb knows of the task.
            hf_split: Split, for messages.
            hf_subset: Not used.
            top_k: Documents per query at most.
            encode_kwargs: Not used: batches are planned by their tokens.
            top_ranked: Query id to the ids of its candidates, for reranking tasks; None means that
                all documents are searched.
            **options: Not used.

        Returns:
            Query id to document id to score.

        Raises:
            DataError: No documents were indexed, a candidate is not among them, or a model gives
                NaN.
        """
        where = f"{task_metadata.name}/{hf_split}"
        if not self._documents:
            raise DataError(f"{where}: got no documents, expected some to search")
        named = zip(map(str, list(queries["id"])), query_texts(queries), strict=True)
        asked = tuple(Query(query_id=query_id, text=text) for query_id, text in named)
        encoder = TaskEncoder(
            self._encoder,
            self._prompts,
            task_name=task_metadata.name,
            task_type=task_metadata.type,
            width=self._width,
        )
        if top_ranked is not None:
            return self._rank_candidates(asked, encoder, top_ranked, top_k, where)
        collection = Collection(
            name=where, split=hf_split, documents=self._documents, queries=asked, qrels={}
        )
        config = replace(self._config, top_k=top_k, dim=None)
        search = Search(encoder, collection, config)
        rankings = search.run((self._variant,), self._subject.reranker)[self._variant]
        return {
            query.query_id: {
                self._documents[row].doc_id: score
                for row, score in zip(ranking.rows.tolist(), ranking.scores.tolist(), strict=True)
            }
            for query, ranking in zip(asked, rankings, strict=True)
        }

    def _rank_candidates(
        self,
        queries: Sequence[Query],
        encoder: TextEncoder,
        candidates: Mapping[str, Sequence[str]],
        top_k: int,
        where: str,
    ) -> Found:
        row_of_id = {document.doc_id: row for row, document in enumerate(self._documents)}
        rows = [
            [_known_row(row_of_id, doc_id, where) for doc_id in candidates.get(query.query_id, ())]
            for query in queries
        ]
        scores = (
            self._pair_scores(queries, rows)
            if self._variant == "reranked"
            else self._vector_scores(queries, rows, encoder)
        )
        found: Found = {}
        for query, own_rows, own_scores in zip(queries, rows, scores, strict=True):
            order = np.argsort(-own_scores, kind="stable")[:top_k].tolist()
            found[query.query_id] = {
                self._documents[own_rows[place]].doc_id: float(own_scores[place]) for place in order
            }
        return found

    def _pair_scores(
        self, queries: Sequence[Query], rows: Sequence[Sequence[int]]
    ) -> Sequence[FloatArray]:
        pairs = [
            (query.text, self._documents[row].text)
            for query, own_rows in zip(queries, rows, strict=True)
            for row in own_rows
        ]
        reranker = self._subject.reranker
        if reranker is None or not pairs:
            return [np.zeros(len(own_rows), dtype=np.float32) for own_rows in rows]
        ends = np.cumsum([len(own_rows) for own_rows in rows])[:-1]
        return np.split(reranker.score(pairs), ends)

    def _vector_scores(
        self, queries: Sequence[Query], rows: Sequence[Sequence[int]], encoder: TextEncoder
    ) -> Iterator[FloatArray]:
        is_sparse = self._variant in ("sparse", "hybrid")
        q = encode_texts(
            partial(encoder.encode, role="query", sparse=is_sparse), [q.text for q in queries]
        )
        d = encode_texts(
            partial(encoder.encode, role="document", sparse=is_sparse),
            [document.text for document in self._documents],
        )
        for place, (own_rows, sparse) in enumerate(zip(rows, _sparse_scores(q, d), strict=True)):
            chosen = np.array(own_rows, dtype=np.int64)
            dense = np.zeros(len(chosen), dtype=np.float32)
            if self._variant != "sparse" and q.dense is not None and d.dense is not None:
                dense = d.dense[chosen] @ q.dense[place]
            if sparse is None:
                yield dense
            elif self._variant == "sparse":
                yield sparse[chosen]
            else:
                yield dense + _weight(self._config.hybrid, sparse) * sparse[chosen]

    def _experiment(self, prompts: Mapping[str, str]) -> dict[str, Any]:
        experiment = differences(self._encoder, prompts, self._width)
        if self._variant == "dense":
            return experiment
        experiment["variant"] = self._variant
        is_reranked = self._variant == "reranked"
        first = first_stage(self._config, self._encoder)
        if is_reranked and self._config.first_stage:
            experiment["first_stage"] = first
        if self._variant == "hybrid" or (is_reranked and first == "hybrid"):
            experiment["sparse_weight"] = self._config.hybrid.sparse_weight
            experiment["sparse_scale"] = self._config.hybrid.sparse_scale
            experiment["missing"] = self._config.hybrid.missing
        if is_reranked and self._subject.reranker is not None:
            experiment["reranker"] = self._subject.reranker.name
            experiment["reranker_revision"] = self._subject.reranker.revision
            experiment["depth"] = self._config.rerank_depth
            experiment["blend"] = self._config.rerank_blend
        return experiment


def checked_variant(variant: str) -> MtebVariant:
    """A way of ranking that came as text.

    Args:
        variant: The text.

    Returns:
        The same.

    Raises:
        ConfigError: There is no such way.
    """
    for known in VARIANTS:
        if variant == known:
            return known
    raise ConfigError(f"variant: got {variant!r}, expected one of {', '.join(VARIANTS)}")


def _check_able(variant: str, subject: Subject) -> None:
    checked_variant(variant)
    encoder = subject.wanted_encoder("search")
    if variant in ("dense", "hybrid") and not encoder.has_dense:
        raise ConfigError(
            f"variant: {variant!r} needs dense vectors, and {encoder.name} has no dense vectors"
        )
    if variant in ("sparse", "hybrid") and not encoder.has_sparse:
        raise ConfigError(
            f"variant: {variant!r} needs sparse token weights, and {encoder.name} has none"
        )
    if variant == "reranked" and subject.reranker is None:
        raise ConfigError("variant: 'reranked' needs a reranker, and there is none")


def _known_row(row_of_id: Mapping[str, int], doc_id: str, where: str) -> int:
    row = row_of_id.get(str(doc_id))
    if row is None:
        raise DataError(f"{where}: the candidate {doc_id} is not among the documents")
    return row


def _sparse_scores(queries: TextVectors, documents: TextVectors) -> Iterator[FloatArray | None]:
    """Products of each query's token weights with those of all documents; None without weights."""
    if queries.sparse is None or documents.sparse is None:
        count = 0 if queries.dense is None else len(queries.dense)
        yield from [None] * count
    else:
        yield from InvertedLists(documents.sparse).scores(queries.sparse)


def _weight(config: HybridConfig, sparse: FloatArray) -> float:
    largest = float(sparse.max(initial=0.0))
    if config.sparse_scale == "query" and largest > 0:
        return config.sparse_weight / largest
    return config.sparse_weight
