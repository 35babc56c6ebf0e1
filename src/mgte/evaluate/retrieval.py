"""evaluate_retrieval: a model on a collection, in every way that it can rank."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from mgte.errors import ConfigError
from mgte.evaluate.answer_recall import ANSWER_METRICS, measure_answers
from mgte.evaluate.bm25 import bm25_rankings
from mgte.evaluate.collection import Collection, read_collection
from mgte.evaluate.metrics import mean_metrics, measure_rankings
from mgte.evaluate.result import ModeResult, RetrievalResult
from mgte.evaluate.retrieval_config import MODES, Mode, RetrievalConfig
from mgte.evaluate.searches import Rankings, Search, first_stage, reranked
from mgte.evaluate.subjects.loading import SubjectOptions, load_encoder, load_scorer
from mgte.evaluate.subjects.own_models import EmbedderSubject, RerankerSubject
from mgte.evaluate.subjects.subject import PairScorer, TextEncoder
from mgte.inference import Embedder, Reranker


def evaluate(
    model: str | Path | Embedder | TextEncoder,
    data: str | Path | Collection,
    *,
    split: str = "test",
    reranker: str | Path | Reranker | PairScorer | None = None,
    modes: Sequence[Mode] = (),
    max_queries: int = 0,
    max_documents: int = 0,
    config: RetrievalConfig | None = None,
) -> RetrievalResult:
    """Measure a model on a collection.

    Args:
        model: Name, folder or hub id of an embedding model, `st:NAME`, the address of a server, or
            a model that is loaded; see `load_subject`.
        data: BEIR folder, or a collection that was read.
        split: Which judgements of the folder.
        reranker: A reranker, named likewise, or one that is loaded.
        modes: As in `evaluate_retrieval`.
        max_queries: As in `evaluate_retrieval`.
        max_documents: As in `evaluate_retrieval`.
        config: How the collection is searched; None means the defaults.

    Returns:
        Metrics by way of ranking.

    Raises:
        MgteError: As `load_encoder`, `load_scorer` and `evaluate_retrieval`.
    """
    config = config or RetrievalConfig()
    options = SubjectOptions(
        max_tokens_per_batch=config.max_tokens_per_batch, show_progress=config.show_progress
    )
    if isinstance(model, str | Path):
        model = load_encoder(str(model), options)
    if isinstance(reranker, str | Path):
        reranker = load_scorer(str(reranker), options)
    return evaluate_retrieval(
        model,
        data,
        split=split,
        reranker=reranker,
        modes=modes,
        max_queries=max_queries,
        max_documents=max_documents,
        config=config,
    )


def evaluate_retrieval(
    embedder: Embedder | TextEncoder,
    data: str | Path | Collection,
    *,
    split: str = "test",
    reranker: Reranker | PairScorer | None = None,
    modes: Sequence[Mode] = (),
    max_queries: int = 0,
    max_documents: int = 0,
    config: RetrievalConfig | None = None,
) -> RetrievalResult:
    """Rank the documents of a collection for each of its queries, and measure the rankings.

    Searches are exact: every query is compared with every document. Documents are read as BEIR
    does, title and text joined by a space. A document that is the query itself is not ranked; see
    `make_collection`.

    Args:
        embedder: The model; an `Embedder`, or whatever embeds texts.
        data: BEIR folder, or a collection that was read (then the next three are not used).
        split: Which judgements of the folder.
        reranker: Scores the best documents again.
        modes: Ways of ranking; empty means all that the models can, without BM25.
        max_queries: Queries used at most, drawn at random; 0 means all.
        max_documents: Documents used at most beside the judged ones; 0 means all.
        config: How the collection is searched; None means the defaults.

    Returns:
        Metrics by way of ranking, in the order of `MODES`.

    Raises:
        DataError: The collection is damaged, or the model gives NaN.
        ConfigError: A mode is unknown or beyond the models.
        BackendUnavailableError: pytrec_eval or bm25s is not installed.
    """
    config = config or RetrievalConfig()
    encoder = as_encoder(embedder, config)
    scorer = as_scorer(reranker, config)
    # What the models cannot do is told before data is read.
    wanted = wanted_modes(modes, encoder, scorer)
    collection = (
        data
        if isinstance(data, Collection)
        else read_collection(
            data, split=split, max_queries=max_queries, max_documents=max_documents
        )
    )
    return search_and_measure(encoder, scorer, collection, wanted, config)[0]


def search_and_measure(
    encoder: TextEncoder | None,
    reranker: PairScorer | None,
    collection: Collection,
    modes: Sequence[Mode],
    config: RetrievalConfig,
) -> tuple[RetrievalResult, Mapping[Mode, Rankings]]:
    """Rank documents, measure the rankings, and give both.

    Args:
        encoder: The model; without one, BM25 ranks and its best documents are reranked.
        reranker: Needed for "reranked".
        collection: Documents, queries and judgements.
        modes: Ways of ranking, as `wanted_modes` gives them.
        config: How the collection is searched.

    Returns:
        What was measured, and mode to one ranking per query.

    Raises:
        DataError: A model gives NaN.
        BackendUnavailableError: pytrec_eval or bm25s is not installed.
    """
    first = first_stage(config, encoder)
    seconds: Mapping[str, float]
    if encoder is None:
        cut = (0, 0)
        rankings, seconds = _from_bm25(reranker, collection, modes, config)
    else:
        search = Search(encoder, collection, config)
        rankings, seconds = search.run(modes, reranker), search.seconds
        cut = (search.num_documents_cut, search.num_queries_cut)
    settings = asdict(config) | {
        "first_stage": first,
        "model": None if encoder is None else encoder.name,
        "reranker": None if reranker is None else reranker.name,
        "max_length": None if encoder is None else encoder.max_length,
        "reranker_max_length": None if reranker is None else reranker.max_length,
    }
    result = RetrievalResult(
        collection=collection.name,
        split=collection.split,
        num_documents=len(collection.documents),
        num_queries=len(collection.queries),
        num_documents_cut=cut[0],
        num_queries_cut=cut[1],
        modes={mode: _measured(rankings[mode], collection) for mode in MODES if mode in rankings},
        seconds=seconds,
        settings=settings,
        num_own_documents=len(collection.own_rows),
    )
    return result, rankings


def _from_bm25(
    reranker: PairScorer | None,
    collection: Collection,
    modes: Sequence[Mode],
    config: RetrievalConfig,
) -> tuple[dict[Mode, Rankings], dict[str, float]]:
    """Rankings without an encoder, and how long they took."""
    began = time.perf_counter()
    found: dict[Mode, Rankings] = {"bm25": bm25_rankings(collection, config.top_k)}
    seconds = {"bm25": time.perf_counter() - began}
    if "reranked" in modes and reranker is not None:
        began = time.perf_counter()
        found["reranked"] = reranked(found["bm25"], collection, reranker, config)
        seconds["rerank"] = time.perf_counter() - began
    return {mode: rankings for mode, rankings in found.items() if mode in modes}, seconds


def as_encoder(model: Embedder | TextEncoder, config: RetrievalConfig) -> TextEncoder:
    """An embedder as a subject; whatever embeds texts already, as it is.

    Args:
        model: The model.
        config: Width, token budget and progress bars of an embedder.

    Returns:
        The encoder.
    """
    if not isinstance(model, Embedder):
        return model
    return EmbedderSubject(
        model,
        width=config.dim,
        max_tokens_per_batch=config.max_tokens_per_batch,
        show_progress=config.show_progress,
    )


def as_scorer(model: Reranker | PairScorer | None, config: RetrievalConfig) -> PairScorer | None:
    """A reranker as a subject; whatever scores pairs already, as it is.

    Args:
        model: The model; None without one.
        config: Token budget and progress bars of a reranker.

    Returns:
        The scorer.

    Raises:
        ConfigError: The reranker gives several labels per pair.
    """
    if not isinstance(model, Reranker):
        return model
    return RerankerSubject(
        model,
        max_tokens_per_batch=config.max_tokens_per_batch,
        show_progress=config.show_progress,
    )


def able_modes(encoder: TextEncoder | None, reranker: PairScorer | None) -> Mapping[Mode, bool]:
    """Which ways of ranking models can, BM25 aside.

    Args:
        encoder: The model; None without one.
        reranker: The reranker; None without one.

    Returns:
        Mode to whether it is possible.
    """
    has_dense = encoder is not None and encoder.has_dense
    has_sparse = encoder is not None and encoder.has_sparse
    return {
        "dense": has_dense,
        "sparse": has_sparse,
        "hybrid": has_dense and has_sparse,
        "reranked": reranker is not None,
    }


def wanted_modes(
    modes: Sequence[Mode], encoder: TextEncoder | None, reranker: PairScorer | None
) -> tuple[Mode, ...]:
    """Ways of ranking that are asked for, checked against what the models can.

    Args:
        modes: Ways of ranking; empty means all that the models can, without BM25.
        encoder: The model; None without one.
        reranker: The reranker; None without one.

    Returns:
        The modes in the order of `MODES`.

    Raises:
        ConfigError: A mode is unknown or beyond the models.
    """
    if isinstance(modes, str):
        raise ConfigError(f"modes: got the text {modes!r}, expected a list, such as ['dense']")
    able = able_modes(encoder, reranker)
    for mode in modes:
        if mode not in MODES:
            raise ConfigError(f"modes: got {mode!r}, expected some of {', '.join(MODES)}")
        if not able.get(mode, True):
            raise ConfigError(f"modes: {mode!r} needs {_lacking(mode, encoder)}, and there is none")
    chosen = modes or [mode for mode, is_able in able.items() if is_able]
    return tuple(mode for mode in MODES if mode in chosen)


def _lacking(mode: Mode, encoder: TextEncoder | None) -> str:
    """What a way of ranking needs that is not there."""
    if mode == "reranked":
        return "a reranker"
    if encoder is None:
        return "an embedding model"
    if mode == "dense" or encoder.has_sparse:
        return "a model with dense vectors"
    return "a model with sparse token weights"


def _measured(rankings: Rankings, collection: Collection) -> ModeResult:
    documents = collection.documents
    by_query = {
        query.query_id: [documents[row].doc_id for row in ranking.rows.tolist()]
        for query, ranking in zip(collection.queries, rankings, strict=True)
    }
    if collection.answers:
        return _measured_by_answers(by_query, collection)
    per_query = measure_rankings(by_query, collection.qrels)
    return ModeResult(metrics=mean_metrics(per_query), per_query=per_query)


def _measured_by_answers(
    by_query: Mapping[str, Sequence[str]], collection: Collection
) -> ModeResult:
    found = {doc_id for doc_ids in by_query.values() for doc_id in doc_ids}
    texts = {
        document.doc_id: f"{document.title}\n{document.text}"
        for document in collection.documents
        if document.doc_id in found
    }
    per_query = measure_answers(by_query, collection.answers, texts)
    metrics = {
        name: sum(values[name] for values in per_query.values()) / len(per_query)
        for name in ANSWER_METRICS
    }
    return ModeResult(metrics=metrics, per_query=per_query)
