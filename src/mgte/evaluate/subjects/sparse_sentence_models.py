"""SparseSentenceEncoder: sparse models (SPLADE and its kin) that sentence-transformers runs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mgte.errors import ConfigError, DataError
from mgte.evaluate.subjects.library_encoder import (
    BATCH_SIZE,
    LibraryEncoder,
    load_keywords,
    sentence_transformers,
)
from mgte.evaluate.subjects.subject import Role
from mgte.inference import LoadOptions
from mgte.vectors import Embeddings, SparseVectors

_TYPE = "SparseEncoder"
_CONFIG = "config_sentence_transformers.json"
_MODULES = "modules.json"
# Modules that end in one weight per token, or per feature of a sparse autoencoder (CSR).
_SPARSE_MODULES = frozenset({"SpladePooling", "SparseStaticEmbedding", "SparseAutoEncoder"})
_PROBE: tuple[Role, ...] = ("query", "document")


class SparseSentenceEncoder(LibraryEncoder):
    """A sparse model of sentence-transformers: weights of tokens, and no dense vectors.

    Args:
        model: Folder or hub id.
        load: Device, dtype, length and source; what is "auto" is left to sentence-transformers.
        prompts: Text put before every text, by role; roles that are left out take what
            `encode_query`, `encode_document` and `encode` take by themselves.
        batch_size: Texts per batch.
        show_progress: Progress bar; None means on a terminal.

    Raises:
        BackendUnavailableError: sentence-transformers is not installed.
        ConfigError: The model is no sparse one, or a dtype or backend is asked for that these
            models do not have.
    """

    has_dense = False
    has_sparse = True
    widths: tuple[int, ...] = ()

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
            "show_progress_bar": False,
            "save_to_cpu": True,
        }
        if load is not None and load.max_length is not None:
            # Tables of token weights cut where their tokenizer does, whatever they were told.
            for role in _PROBE:
                self._part(role).tokenizer.model_max_length = load.max_length
        # Some models know the size of their vocabulary, and tell it in what the fingerprint is
        # made of, only after their first text.
        for role in _PROBE:
            self._vocab_size = int(self._called(["a"], role, self._options).shape[1])
        self._options["show_progress_bar"] = bool(show_progress)

    def encode(self, texts: Sequence[str], *, role: Role, sparse: bool = True) -> Embeddings:
        """Embed texts; see `TextEncoder.encode`.

        Args:
            texts: Texts.
            role: What they are.
            sparse: Not used: there is nothing else that could be given.

        Returns:
            Token weights in the order of the texts, and no dense vectors.

        Raises:
            DataError: The model gives NaN, infinity or weights below zero.
        """
        weights = SparseVectors(
            indptr=np.zeros(len(texts) + 1, dtype=np.int64),
            indices=np.zeros(0, dtype=np.int32),
            values=np.zeros(0, dtype=np.float32),
            vocab_size=self._vocab_size,
        )
        if texts:
            weights = self._weights(self._called(texts, role, self._options))
        found = self._told(texts, role, sparse=weights)
        if len(weights.values) and weights.values.min() < 0.0:
            raise DataError(f"{self.name}: gave weights below zero, expected none")
        return found

    def _loaded(self, load: LoadOptions) -> Any:
        library, keywords = sentence_transformers(), load_keywords(load)
        if not is_sparse_model(self.name, load):
            # The library would put an untrained sparse layer on top of it.
            raise ConfigError(f"{self.name}: is no sparse model of sentence-transformers")
        config = _read(self.name, _CONFIG, load) or {}
        if config.get("model_type") == _TYPE:
            return library.SparseEncoder(self.name, **keywords)
        # The same untrained layer would follow where the files do not name the type.
        plain = library.SentenceTransformer(self.name, **keywords)
        return library.SparseEncoder(
            modules=list(plain),
            device=keywords["device"],
            prompts=plain.prompts,
            default_prompt_name=plain.default_prompt_name,
            similarity_fn_name=config.get("similarity_fn_name"),
            max_active_dims=config.get("max_active_dims"),
        )

    def _settings(self) -> list[str]:
        return [str(self._model.max_active_dims), str(self._model.similarity_fn_name)]

    def _weights(self, found: torch.Tensor) -> SparseVectors:
        """Token weights of the library's sparse matrix `[num_texts, vocab_size]`."""
        found = found.coalesce()
        rows, columns = found.indices().numpy()
        values = found.values().float().numpy()
        # What is not there weighs nothing; NaN stays, to be told.
        kept = values != 0.0
        rows, columns, values = rows[kept], columns[kept], values[kept]
        if self.is_cosine:
            squares = np.bincount(rows, weights=values.astype(np.float64) ** 2)
            values = values / np.sqrt(squares[rows])
        counts = np.bincount(rows, minlength=found.shape[0])
        return SparseVectors(
            indptr=np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)]),
            indices=columns.astype(np.int32),
            values=values.astype(np.float32),
            vocab_size=int(found.shape[1]),
        )


def is_sparse_model(model: str, load: LoadOptions | None = None) -> bool:
    """Whether a model of sentence-transformers is a sparse one.

    Its files say so since version 5 of the library; before, only its modules do. A masked language
    model without such files is none: what should become of its logits, nothing says.

    Args:
        model: Folder or hub id.
        load: Revision, and whether the hub may be asked; None means the defaults.

    Returns:
        Whether it gives weights of tokens.

    Raises:
        BackendUnavailableError: sentence-transformers is not installed.
    """
    load = load or LoadOptions()
    if "/" not in model and not Path(model).is_dir():
        # The library looks for short names among its own dense models.
        return False
    config = _read(model, _CONFIG, load) or {}
    if "model_type" in config:
        return bool(config["model_type"] == _TYPE)
    modules = _read(model, _MODULES, load) or []
    kinds = {str(module.get("type", "")).rpartition(".")[2] for module in modules}
    return bool(kinds & _SPARSE_MODULES)


def _read(model: str, name: str, load: LoadOptions) -> Any:
    """The content of a JSON file of a model; None where there is no such file."""
    library = sentence_transformers()
    place = library.util.load_file_path(
        model, name, revision=load.revision, local_files_only=bool(load.offline)
    )
    return None if place is None else json.loads(Path(place).read_text("utf-8"))
