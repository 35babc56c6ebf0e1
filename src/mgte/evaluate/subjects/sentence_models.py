"""SentenceEncoder and SentenceScorer: models that sentence-transformers runs."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mgte.errors import ConfigError
from mgte.evaluate.subjects.library_encoder import (
    BATCH_SIZE,
    LibraryEncoder,
    load_by_library,
    load_keywords,
    sentence_transformers,
    weights_hash,
)
from mgte.evaluate.subjects.subject import Role, check_scores
from mgte.inference import LoadOptions
from mgte.vectors import Embeddings

_DIGITS = 12


class SentenceEncoder(LibraryEncoder):
    """A dense model of sentence-transformers, with the prompts of its own configuration.

    Args:
        model: Folder or hub id.
        load: Device, dtype, length and source; what is "auto" is left to sentence-transformers.
        prompts: Text put before every text, by role; roles that are left out take what
            `encode_query`, `encode_document` and `encode` take by themselves.
        batch_size: Texts per batch.
        show_progress: Progress bar; None means on a terminal.

    Raises:
        BackendUnavailableError: sentence-transformers is not installed.
        ConfigError: A dtype or backend is asked for that these models do not have.
    """

    has_dense = True
    has_sparse = False

    def __init__(
        self,
        model: str,
        *,
        load: LoadOptions | None = None,
        prompts: Mapping[Role, str] | None = None,
        batch_size: int = BATCH_SIZE,
        show_progress: bool | None = None,
    ) -> None:
        super().__init__(model, load=load, prompts=prompts)
        self._options: dict[str, Any] = {
            "batch_size": batch_size,
            "show_progress_bar": bool(show_progress),
            "normalize_embeddings": self.is_cosine,
            "convert_to_numpy": True,
        }

    @property
    def widths(self) -> tuple[int, ...]:
        """The full width: which others a model was trained for, its files do not say."""
        return (int(self._model.get_embedding_dimension()),)

    def encode(self, texts: Sequence[str], *, role: Role, sparse: bool = False) -> Embeddings:
        """Embed texts; see `TextEncoder.encode`.

        Args:
            texts: Texts.
            role: What they are.
            sparse: Whether sparse token weights are wanted, which these models do not give.

        Returns:
            Vectors in the order of the texts.

        Raises:
            ConfigError: Sparse weights are asked for.
            DataError: The model gives NaN or infinity.
        """
        if sparse:
            raise ConfigError(f"{self.name}: is a dense model of sentence-transformers")
        dense = np.zeros((0, self.widths[-1]), dtype=np.float32)
        if texts:
            dense = np.asarray(self._called(texts, role, self._options), dtype=np.float32)
        return self._told(texts, role, dense=dense)

    def _loaded(self, load: LoadOptions) -> Any:
        return sentence_transformers().SentenceTransformer(self.name, **load_keywords(load))


class SentenceScorer:
    """A cross-encoder of sentence-transformers.

    Args:
        model: Folder or hub id.
        load: Device, dtype, length and source; what is "auto" is left to sentence-transformers.
        batch_size: Pairs per batch.
        show_progress: Progress bar; None means on a terminal.

    Raises:
        BackendUnavailableError: sentence-transformers is not installed.
        ConfigError: The model gives several labels per pair, or the dtype or backend is unknown.
    """

    def __init__(
        self,
        model: str,
        *,
        load: LoadOptions | None = None,
        batch_size: int = BATCH_SIZE,
        show_progress: bool | None = None,
    ) -> None:
        self.name = model
        load = load or LoadOptions()
        library, keywords = sentence_transformers(), load_keywords(load)
        self._model = load_by_library(
            model, lambda: library.CrossEncoder(model, max_length=load.max_length, **keywords)
        )
        _check_trained(self._model, model)
        num_labels = int(self._model.num_labels)
        if num_labels != 1:
            raise ConfigError(f"reranker: gives {num_labels} labels per pair, expected 1")
        self._options: dict[str, Any] = {
            "batch_size": batch_size,
            "show_progress_bar": bool(show_progress),
            # Raw: the sigmoid of large scores is 1 for all.
            "activation_fn": torch.nn.Identity(),
            "convert_to_numpy": True,
        }

    @property
    def max_length(self) -> int | None:
        """Longest pair in tokens."""
        length = self._model.max_length
        return None if length is None else int(length)

    @cached_property
    def revision(self) -> str:
        """Hash of the weights."""
        return f"sha256-{weights_hash(self._model)[:_DIGITS]}"

    def score(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Score pairs; see `PairScorer.score`.

        Args:
            pairs: (query, document) texts.

        Returns:
            Raw scores, float32 `[num_pairs]`.

        Raises:
            DataError: The model gives NaN or infinity.
        """
        if not pairs:
            return np.zeros(0, dtype=np.float32)
        found = self._model.predict([list(pair) for pair in pairs], **self._options)
        scores = np.asarray(found, dtype=np.float32).reshape(-1)
        return check_scores(scores, pairs, f"scores of {self.name}")


def _check_trained(model: Any, name: str) -> None:
    """Refuse models without a head for pairs: the library puts an untrained one on them."""
    config = getattr(model, "config", None)
    trained = [str(kind) for kind in getattr(config, "architectures", None) or ()]
    able = ("SequenceClassification", "CausalLM", "ConditionalGeneration")
    if trained and not any(kind.endswith(able) for kind in trained):
        raise ConfigError(
            f"st:{name}: is a {trained[0]}, expected a reranker: a model with a trained head for "
            "sequence classification"
        )
