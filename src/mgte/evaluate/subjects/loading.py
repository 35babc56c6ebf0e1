"""load_subject: from the names that a user gives to what is measured."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from mgte.errors import ConfigError
from mgte.evaluate.subjects.http_client import HttpClient
from mgte.evaluate.subjects.own_models import EmbedderSubject, RerankerSubject
from mgte.evaluate.subjects.sentence_models import SentenceEncoder, SentenceScorer
from mgte.evaluate.subjects.server_models import ServerEncoder, ServerScorer
from mgte.evaluate.subjects.sparse_sentence_models import SparseSentenceEncoder, is_sparse_model
from mgte.evaluate.subjects.subject import ROLES, PairScorer, Role, Subject, TextEncoder
from mgte.inference import Embedder, LoadOptions, Reranker
from mgte.store import open_model

API_KEY = "MGTE_API_KEY"
_SENTENCE_TRANSFORMERS = "st:"
_SERVERS = ("http://", "https://")


@dataclass(frozen=True, kw_only=True, slots=True)
class SubjectOptions:
    """How models are loaded and asked.

    Attributes:
        load: Device, dtype, length and source of models that run here.
        prompts: Text put before every text, by role, or the name of one of the model's prompts.
        instruction: What a search is about, for instruction models of ours.
        batch_size: Texts per batch of sentence-transformers, and per request to a server.
        max_tokens_per_batch: Token budget of one batch of ours; None means what suits the device.
        show_progress: Progress bars; None means on a terminal, for long work.
    """

    load: LoadOptions = field(default_factory=LoadOptions)
    prompts: Mapping[str, str] = field(default_factory=dict)
    instruction: str | None = None
    batch_size: int = 32
    max_tokens_per_batch: int | None = None
    show_progress: bool | None = None

    def __post_init__(self) -> None:
        for role in self.prompts:
            if role not in ROLES:
                raise ConfigError(f"prompts: got the role {role!r}, expected {', '.join(ROLES)}")
        if self.batch_size < 1:
            raise ConfigError(f"batch_size: got {self.batch_size}, expected at least 1")

    @property
    def role_prompts(self) -> dict[Role, str]:
        """The prompts by role."""
        return {role: self.prompts[role] for role in ROLES if role in self.prompts}


def load_subject(
    model: str, reranker: str | None = None, options: SubjectOptions | None = None
) -> Subject:
    """Load what is to be measured.

    Args:
        model: Folder, hub id or bundled name of a model of ours, embedding model or reranker;
            `st:NAME` for one that sentence-transformers runs; `http(s)://HOST[/ROUTE][#MODEL]` for
            a server.
        reranker: The same for a reranker beside it.
        options: How models are loaded and asked; None means the defaults.

    Returns:
        The subject.

    Raises:
        MgteError: A model cannot be found or loaded, or a package for it is missing.
    """
    options = options or SubjectOptions()
    is_ours = not model.startswith((_SENTENCE_TRANSFORMERS, *_SERVERS))
    scorer = None if reranker is None else load_scorer(reranker, options)
    if is_ours and reranker is None and _is_reranker(model, options.load):
        return Subject(reranker=load_scorer(model, options))
    encoder = load_encoder(model, options)
    folder = encoder.folder if isinstance(encoder, EmbedderSubject) else None
    return Subject(encoder=encoder, reranker=scorer, folder=folder)


def load_encoder(model: str, options: SubjectOptions) -> TextEncoder:
    """An embedding model by name.

    Args:
        model: As in `load_subject`.
        options: How it is loaded and asked.

    Returns:
        The encoder.

    Raises:
        MgteError: It cannot be found or loaded.
    """
    load = options.load
    if model.startswith(_SENTENCE_TRANSFORMERS):
        name = model.removeprefix(_SENTENCE_TRANSFORMERS)
        kind = SparseSentenceEncoder if is_sparse_model(name, load) else SentenceEncoder
        return kind(
            name,
            load=load,
            prompts=options.role_prompts,
            batch_size=options.batch_size,
            show_progress=options.show_progress,
        )
    if model.startswith(_SERVERS):
        client, name = _client(model)
        return ServerEncoder(
            client,
            name,
            prompts=options.role_prompts,
            batch_size=options.batch_size,
            show_progress=options.show_progress,
        )
    return EmbedderSubject(
        Embedder.load(model, **asdict(load)),
        prompts=options.role_prompts,
        instruction=options.instruction,
        max_tokens_per_batch=options.max_tokens_per_batch,
        show_progress=options.show_progress,
    )


def load_scorer(model: str, options: SubjectOptions) -> PairScorer:
    """A reranker by name.

    Args:
        model: As in `load_subject`.
        options: How it is loaded and asked.

    Returns:
        The scorer.

    Raises:
        MgteError: It cannot be found or loaded.
    """
    load = options.load
    if model.startswith(_SENTENCE_TRANSFORMERS):
        return SentenceScorer(
            model.removeprefix(_SENTENCE_TRANSFORMERS),
            load=load,
            batch_size=options.batch_size,
            show_progress=options.show_progress,
        )
    if model.startswith(_SERVERS):
        client, name = _client(model)
        return ServerScorer(
            client, name, batch_size=options.batch_size, show_progress=options.show_progress
        )
    settings = asdict(load)
    settings.pop("is_causal")  # rerankers read it from their files
    return RerankerSubject(
        Reranker.load(model, **settings),
        max_tokens_per_batch=options.max_tokens_per_batch,
        show_progress=options.show_progress,
    )


def _is_reranker(model: str, load: LoadOptions) -> bool:
    opened = open_model(
        model, revision=load.revision, offline=load.offline, is_causal=load.is_causal
    )
    return opened.head.kind == "sequence_classification"


def _client(address: str) -> tuple[HttpClient, str]:
    """What talks to a server, and the model behind the `#`."""
    url, _, name = address.partition("#")
    return HttpClient(url=url.rstrip("/"), key=os.environ.get(API_KEY, "")), name
