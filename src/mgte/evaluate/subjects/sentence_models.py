"""SentenceEncoder and SentenceScorer: models that sentence-transformers runs."""

import importlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mgte.errors import BackendUnavailableError, ConfigError
from mgte.evaluate.subjects.subject import Role, check_finite, check_scores
from mgte.inference import LoadOptions
from mgte.vectors import Embeddings

_DIGITS = 12
_BATCH_SIZE = 32


class SentenceEncoder:
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

    has_sparse = False

    def __init__(
        self,
        model: str,
        *,
        load: LoadOptions | None = None,
        prompts: Mapping[Role, str] | None = None,
        batch_size: int = _BATCH_SIZE,
        show_progress: bool | None = None,
    ) -> None:
        self.name = model
        load = load or LoadOptions()
        self._model = _sentence_transformers().SentenceTransformer(model, **_load_keywords(load))
        if load.max_length is not None:
            self._model.max_seq_length = load.max_length
        self._prompts = dict(prompts or {})
        self._options: dict[str, Any] = {
            "batch_size": batch_size,
            "show_progress_bar": bool(show_progress),
            "normalize_embeddings": self.is_cosine,
            "convert_to_numpy": True,
        }

    @property
    def max_length(self) -> int | None:
        """Longest text in tokens."""
        length = self._model.get_max_seq_length()
        return None if length is None else int(length)

    @property
    def is_cosine(self) -> bool:
        """Whether vectors have unit length: all but those of models made for the dot product."""
        return str(self._model.similarity_fn_name) != "dot"

    @property
    def widths(self) -> tuple[int, ...]:
        """The full width: which others a model was trained for, its files do not say."""
        return (int(self._model.get_embedding_dimension()),)

    @property
    def device(self) -> str:
        """The GPU that the model runs on (CUDA), else the CPU."""
        device = torch.device(self._model.device)
        return str(device) if device.type == "cuda" else "cpu"

    @cached_property
    def revision(self) -> str:
        """Hash of the weights."""
        return f"sha256-{_weights_hash(self._model)[:_DIGITS]}"

    @cached_property
    def fingerprint(self) -> str:
        """Hash of weights, prompts, length, and of what computes."""
        parts = [_weights_hash(self._model), repr(self._model), str(self.max_length)]
        parts += [repr(self._model.prompts), str(self._model.default_prompt_name)]
        parts += [repr(sorted(self._prompts.items())), self.device, torch.__version__]
        parts += [_sentence_transformers().__version__]
        return sha256("\0".join(parts).encode()).hexdigest()

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
        encode = {
            "query": self._model.encode_query,
            "document": self._model.encode_document,
            "text": self._model.encode,
        }[role]
        options = self._options
        if role in self._prompts:
            options = options | {"prompt": self._prompts[role]}
        dense = np.zeros((0, self.widths[-1]), dtype=np.float32)
        if texts:
            dense = np.asarray(encode(list(texts), **options), dtype=np.float32)
        lengths = self._lengths(texts)
        longest = self.max_length or np.iinfo(np.int64).max
        found = Embeddings(
            dense=dense,
            sparse=None,
            num_tokens=np.minimum(lengths, longest),
            is_truncated=lengths > longest,
            count_dropped=lambda index: int(lengths[index] - longest),
        )
        return check_finite(found, texts, f"vectors of {self.name}")

    def _lengths(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Tokens of texts, special tokens included; prompts are not counted."""
        if not texts:
            return np.zeros(0, dtype=np.int64)
        # verbose: a warning per long text would say what the report says.
        tokens = self._model.tokenizer(list(texts), truncation=False, verbose=False)
        return np.array([len(ids) for ids in tokens["input_ids"]], dtype=np.int64)


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
        batch_size: int = _BATCH_SIZE,
        show_progress: bool | None = None,
    ) -> None:
        self.name = model
        load = load or LoadOptions()
        self._model = _sentence_transformers().CrossEncoder(
            model, max_length=load.max_length, **_load_keywords(load)
        )
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

    @cached_property
    def revision(self) -> str:
        """Hash of the weights."""
        return f"sha256-{_weights_hash(self._model)[:_DIGITS]}"

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


def _load_keywords(load: LoadOptions) -> dict[str, Any]:
    if load.dtype == "int8" or load.backend != "auto":
        raise ConfigError(
            f"dtype {load.dtype}, backend {load.backend}: expected a dtype of PyTorch and the "
            "backend auto for a model of sentence-transformers"
        )
    return {
        "device": None if load.device == "auto" else load.device,
        "revision": load.revision,
        "local_files_only": bool(load.offline),
        "model_kwargs": {} if load.dtype == "auto" else {"dtype": load.dtype},
    }


def _weights_hash(model: torch.nn.Module) -> str:
    digest = sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _sentence_transformers() -> Any:
    try:
        return importlib.import_module("sentence_transformers")
    except ImportError as error:
        raise BackendUnavailableError(
            "models named st:NAME need the package sentence-transformers",
            hint="pip install 'mgte[eval]'",
        ) from error
