"""LibraryEncoder: what dense and sparse encoders of sentence-transformers have in common."""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from mgte.errors import BackendUnavailableError, ConfigError, MgteError
from mgte.evaluate.subjects.subject import Role, check_finite
from mgte.inference import LoadOptions
from mgte.vectors import Embeddings, SparseVectors

BATCH_SIZE = 32
_DIGITS = 12
# What the library itself looks for, in its order; then comes the prompt that is the default.
_PROMPT_NAMES: Mapping[Role, tuple[str, ...]] = {
    "query": ("query",),
    "document": ("document", "passage", "corpus"),
    "text": (),
}


class LibraryEncoder(ABC):
    """Base of encoders that sentence-transformers runs, with the prompts of their configuration.

    Args:
        model: Folder or hub id.
        load: Device, dtype, length and source; what is "auto" is left to sentence-transformers.
        prompts: Text put before every text, by role; roles that are left out take what
            `encode_query`, `encode_document` and `encode` take by themselves.

    Raises:
        BackendUnavailableError: sentence-transformers is not installed.
        ConfigError: A dtype or backend is asked for that these models do not have.
    """

    def __init__(
        self,
        model: str,
        *,
        load: LoadOptions | None = None,
        prompts: Mapping[Role, str] | None = None,
    ) -> None:
        self.name = model
        load = load or LoadOptions()
        self._model = load_by_library(model, lambda: self._loaded(load))
        if load.max_length is not None:
            self._model.max_seq_length = load.max_length
        self._prompts = dict(prompts or {})

    @property
    def max_length(self) -> int | None:
        """Longest text in tokens; of models with a part of their own for queries, document."""
        return self._longest("document")

    @property
    def is_cosine(self) -> bool:
        """Whether vectors have unit length: all but those of models made for the dot product."""
        return str(self._model.similarity_fn_name) != "dot"

    @property
    def device(self) -> str:
        """The GPU that the model runs on (CUDA), else the CPU."""
        device = torch.device(self._model.device)
        return str(device) if device.type == "cuda" else "cpu"

    @cached_property
    def revision(self) -> str:
        """Hash of the weights."""
        return f"sha256-{weights_hash(self._model)[:_DIGITS]}"

    @cached_property
    def fingerprint(self) -> str:
        """Hash of weights, prompts, length, and of what computes."""
        parts = [weights_hash(self._model), repr(self._model), str(self.max_length)]
        parts += [repr(self._model.prompts), str(self._model.default_prompt_name)]
        parts += [repr(sorted(self._prompts.items())), self.device, torch.__version__]
        parts += [sentence_transformers().__version__, *self._settings()]
        return sha256("\0".join(parts).encode()).hexdigest()

    @abstractmethod
    def _loaded(self, load: LoadOptions) -> Any:
        """The model of the library."""

    def _settings(self) -> list[str]:
        """What else vectors follow from."""
        return []

    def _called(self, texts: Sequence[str], role: Role, options: Mapping[str, Any]) -> Any:
        """What the library makes of at least one text."""
        encode = {
            "query": self._model.encode_query,
            "document": self._model.encode_document,
            "text": self._model.encode,
        }[role]
        own = {"prompt": self._prompts[role]} if role in self._prompts else {}
        return encode(list(texts), **options, **own)

    def _told(
        self,
        texts: Sequence[str],
        role: Role,
        *,
        dense: NDArray[np.float32] | None = None,
        sparse: SparseVectors | None = None,
    ) -> Embeddings:
        """Vectors with what the model did not read of their texts."""
        lengths = self._lengths(texts, role)
        longest = self._longest(role) or np.iinfo(np.int64).max
        found = Embeddings(
            dense=dense,
            sparse=sparse,
            num_tokens=np.minimum(lengths, longest),
            is_truncated=lengths > longest,
            count_dropped=lambda index: int(lengths[index] - longest),
        )
        return check_finite(found, texts, f"vectors of {self.name}")

    def _lengths(self, texts: Sequence[str], role: Role) -> NDArray[np.int64]:
        """Tokens of texts as the model gets them: with prompts and special tokens."""
        if not texts:
            return np.zeros(0, dtype=np.int64)
        part = self._part(role)
        prompt = self._prompt(role)
        if isinstance(part.tokenizer, Tokenizer):
            return _raw_lengths(part.tokenizer, [prompt + text for text in texts])
        # Tables of token weights look at the tokens of the text alone.
        has_special = type(part).__name__ != "SparseStaticEmbedding"
        # verbose: a warning per long text would say what the report says.
        tokens = part.tokenizer(
            [prompt + text for text in texts],
            truncation=False,
            verbose=False,
            add_special_tokens=has_special,
        )
        return np.array([len(ids) for ids in tokens["input_ids"]], dtype=np.int64)

    def _longest(self, role: Role) -> int | None:
        part = self._part(role)
        if isinstance(getattr(part, "tokenizer", None), Tokenizer):
            # Tables of token vectors have no limit, but their tokenizer's file may have one.
            cut = part.tokenizer.truncation
            return int(cut["max_length"]) if cut else None
        length = getattr(part, "max_seq_length", None)
        # Tokenizers without a limit say a number far beyond any text.
        return None if length is None or length > np.iinfo(np.int64).max else int(length)

    def _part(self, role: Role) -> Any:
        """What reads texts of a role: some models have one part for queries, one for documents."""
        first = self._model[0]
        parts = getattr(first, "sub_modules", None)
        if parts is None:
            return first
        return parts[role if role in parts else first.default_route][0]

    def _prompt(self, role: Role) -> str:
        if role in self._prompts:
            return self._prompts[role]
        known = self._model.prompts
        names = [name for name in _PROMPT_NAMES[role] if name in known]
        name = names[0] if names else self._model.default_prompt_name
        return str(known.get(name) or "")


def _raw_lengths(tokenizer: Tokenizer, texts: Sequence[str]) -> NDArray[np.int64]:
    """Tokens of texts for a table of token vectors, without its tokenizer's limit."""
    unlimited = Tokenizer.from_str(tokenizer.to_str())
    unlimited.no_truncation()
    found = unlimited.encode_batch(list(texts), add_special_tokens=False)
    return np.array([len(encoding.ids) for encoding in found], dtype=np.int64)


def load_by_library(name: str, load: Callable[[], Any]) -> Any:
    """Load a model of the library, and say in a line why that did not work.

    Args:
        name: Folder or hub id.
        load: Loads it.

    Returns:
        The model.

    Raises:
        ConfigError: It cannot be loaded.
    """
    if not name:
        raise ConfigError("st:: got no name, expected st:NAME, a folder or hub id")
    try:
        return load()
    # Its loaders raise whatever transformers, the hub and the checkpoint's files make them raise.
    except Exception as error:
        if isinstance(error, MgteError):
            raise
        first_line = next(iter(str(error).strip().splitlines()), "")
        told = f"{type(error).__name__}: {first_line}"
        raise ConfigError(f"st:{name}: sentence-transformers cannot load it ({told})") from error


def load_keywords(load: LoadOptions) -> dict[str, Any]:
    """What the classes of the library are given to load a model.

    Args:
        load: Device, dtype, length and source.

    Returns:
        Keyword arguments.

    Raises:
        ConfigError: A dtype or backend is asked for that these models do not have.
    """
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


def weights_hash(model: torch.nn.Module) -> str:
    """Hash of the weights of a model.

    Args:
        model: The model.

    Returns:
        Hexadecimal digits.
    """
    digest = sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def sentence_transformers() -> Any:
    """The library.

    Returns:
        Its module.

    Raises:
        BackendUnavailableError: It is not installed.
    """
    try:
        return importlib.import_module("sentence_transformers")
    except ImportError as error:
        raise BackendUnavailableError(
            "models named st:NAME need the package sentence-transformers",
            hint="pip install 'mgte[eval]'",
        ) from error
