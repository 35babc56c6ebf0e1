"""mteb_model: one of our models, ready for `mteb.evaluate`."""

from collections.abc import Mapping
from pathlib import Path

from mgte.evaluate.mteb.cross_encoder import MtebCrossEncoder
from mgte.evaluate.mteb.encoder import MtebEncoder
from mgte.evaluate.mteb.search import MtebSearch, MtebVariant
from mgte.evaluate.retrieval_config import RetrievalConfig
from mgte.evaluate.subjects import EmbedderSubject, PairScorer, RerankerSubject, Subject
from mgte.inference import Embedder, Reranker
from mgte.store import open_model

MtebModel = MtebEncoder | MtebCrossEncoder | MtebSearch
_RERANKER = "sequence_classification"


def mteb_model(
    model: str | Path | Embedder | Reranker | Subject,
    *,
    variant: MtebVariant = "dense",
    reranker: str | Path | Reranker | None = None,
    prompts: Mapping[str, str] | None = None,
    width: int | None = None,
    config: RetrievalConfig | None = None,
) -> MtebModel:
    """A model for `mteb.evaluate(model, tasks)`.

    Args:
        model: Name, folder or hub id of an embedding model or a reranker, a loaded one, or a
            subject of `mgte.evaluate` that others run.
        variant: "dense" runs every task of mteb; "sparse", "hybrid" and "reranked" run retrieval
            and reranking tasks.
        reranker: For "reranked": name, folder or hub id of a reranker, or a loaded one.
        prompts: Prompts by mteb's keys: task, type of task, side ("query", "document"), or the
            first two with a side ("SciFact-query"). None means the model's own.
        width: Leading dimensions of the vectors (elastic embedding); None means all.
        config: How "sparse", "hybrid" and "reranked" search; None means the defaults.

    Returns:
        An encoder, a cross-encoder for a reranker alone, or a search for the other variants.

    Raises:
        MgteError: As `Embedder.load` and `Reranker.load`.
        ConfigError: The variant is beyond the models, or the width is wrong.
        BackendUnavailableError: mteb is not installed.
    """
    subject = _as_subject(model)
    if reranker is not None:
        loaded = reranker if isinstance(reranker, Reranker) else Reranker.load(str(reranker))
        subject = Subject(
            encoder=subject.encoder, reranker=RerankerSubject(loaded), folder=subject.folder
        )
    if subject.encoder is None and subject.reranker is not None:
        return cross_encoder_of(subject.reranker)
    if variant != "dense":
        return MtebSearch(subject, variant=variant, config=config, prompts=prompts, width=width)
    return MtebEncoder(
        subject.wanted_encoder("mteb_model", needs_dense=True),
        prompts=prompts,
        width=width,
        folder=subject.folder,
    )


def _as_subject(model: str | Path | Embedder | Reranker | Subject) -> Subject:
    if isinstance(model, Subject):
        return model
    if isinstance(model, str | Path):
        is_reranker = open_model(model).head.kind == _RERANKER
        model = Reranker.load(str(model)) if is_reranker else Embedder.load(str(model))
    if isinstance(model, Reranker):
        return Subject(reranker=RerankerSubject(model))
    encoder = EmbedderSubject(model)
    return Subject(encoder=encoder, folder=encoder.folder)


def cross_encoder_of(scorer: PairScorer) -> MtebCrossEncoder:
    """A reranker as mteb's cross-encoder, with the facts of its folder where it is ours.

    Args:
        scorer: The reranker.

    Returns:
        The cross-encoder.
    """
    if not isinstance(scorer, RerankerSubject):
        return MtebCrossEncoder(scorer)
    prepared = scorer.reranker.prepared
    return MtebCrossEncoder(scorer, max_length=prepared.max_length, folder=prepared.model_dir.path)
