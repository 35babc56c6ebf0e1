"""Engines: ways in which the same model turns the same texts into vectors."""

import importlib.util
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from mgte.errors import BackendUnavailableError
from mgte.evaluate.efficiency.texts import filled
from mgte.evaluate.subjects.own_models import EmbedderSubject
from mgte.evaluate.subjects.subject import TextEncoder
from mgte.inference import Embedder

EngineName = Literal["packed", "padded", "sentence-transformers"]
ENGINES: tuple[EngineName, ...] = ("packed", "padded", "sentence-transformers")
_logger = logging.getLogger(__name__)
# Texts to the number of tokens that were computed, filling included.
Engine = Callable[[Sequence[str]], int]


def available_engines(
    encoder: TextEncoder, wanted: Sequence[EngineName], batch_size: int
) -> dict[str, Engine]:
    """Those of some engines that can run a model here.

    Args:
        encoder: The model.
        wanted: Names of engines.
        batch_size: Texts of one batch, for engines that fill texts up.

    Returns:
        Name to engine. A model that others run has one way only, named "".
    """
    if not isinstance(encoder, EmbedderSubject):
        return {"": lambda texts: int(encoder.encode(texts, role="document").num_tokens.sum())}
    found: dict[str, Engine] = {}
    for name in wanted:
        try:
            found[name] = build_engine(name, encoder.embedder, encoder.folder, batch_size)
        except BackendUnavailableError as error:
            _logger.warning("%s is not measured: %s", name, error.message)
    return found


def build_engine(name: EngineName, embedder: Embedder, folder: Path, batch_size: int) -> Engine:
    """One engine.

    Args:
        name: Which.
        embedder: Our model, loaded.
        folder: Folder of its checkpoint, for other engines.
        batch_size: Texts of one batch, for engines that fill texts up.

    Returns:
        A function from texts to the number of tokens that were computed.

    Raises:
        BackendUnavailableError: The engine is not installed, or cannot load the model.
    """
    if name == "packed":
        return lambda texts: int(embedder.encode_document(texts).num_tokens.sum())
    if name == "padded":
        return lambda texts: _padded(embedder, texts, batch_size)
    model = _sentence_transformer(folder, embedder)

    def encode(texts: Sequence[str]) -> int:
        model.encode(list(texts), batch_size=batch_size, show_progress_bar=False)
        # It sorts by length and fills inside; how many tokens that makes it does not tell.
        return 0

    return encode


def _padded(embedder: Embedder, texts: Sequence[str], batch_size: int) -> int:
    """The arithmetic of an engine without packing: every text as long as its batch's longest."""
    ids = embedder.tokenizer.encode(texts, max_length=embedder.max_length).ids
    sequences = filled(ids, batch_size)
    embedder.encode_ids(sequences)
    return sum(map(len, sequences))


def _sentence_transformer(folder: Path, embedder: Embedder) -> Any:
    if importlib.util.find_spec("sentence_transformers") is None:
        raise BackendUnavailableError(
            "engine: the package `sentence-transformers` is missing",
            hint="pip install 'mgte[eval]'",
        )
    from sentence_transformers import SentenceTransformer

    device = str(embedder.prepared.placement.device)
    try:
        model = SentenceTransformer(str(folder), device=device, local_files_only=True)
    # Its loaders raise whatever transformers and the checkpoint's own code do.
    except Exception as error:
        raise BackendUnavailableError(
            f"engine: sentence-transformers cannot load {folder.name} ({type(error).__name__})"
        ) from error
    model.max_seq_length = embedder.max_length
    return model
