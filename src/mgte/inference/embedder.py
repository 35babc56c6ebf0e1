"""Embedder: texts or token ids in, dense vectors and sparse token weights out."""

from collections.abc import Sequence
from typing import Unpack

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mgte.errors import ConfigError
from mgte.inference.embedding_task import Wanted, embedding_task, stack_dense, stack_sparse
from mgte.inference.engine import Task, TokenInput
from mgte.inference.loading import Prepared, prepare
from mgte.inference.requests import (
    EncodeOptions,
    LoadOptions,
    Overflow,
    check_dim,
    check_pairs,
)
from mgte.inference.scoring import DenseLike, similarity_matrix, take_rows, weighted_sum
from mgte.model import EmbeddingModel
from mgte.packing import PackedBatch, TokenIds
from mgte.text import Tokenizer
from mgte.vectors import Embeddings

_DOCUMENT_PROMPTS = ("document", "passage", "corpus")


class Embedder:
    """An embedding model with tokenizer and settings, ready to run.

    Attributes:
        prepared: Engine, settings and tokenizer.
        model: Heads and configuration; the encoder's weights live in the engine's runtimes.
        max_length: Longest text in tokens, special tokens included.
    """

    def __init__(self, prepared: Prepared) -> None:
        if not isinstance(prepared.model, EmbeddingModel):
            raise TypeError(f"expected an EmbeddingModel, got {type(prepared.model).__name__}")
        self.prepared = prepared
        self.model = prepared.model
        self.max_length = prepared.max_length

    @classmethod
    def load(
        cls,
        model: str,
        *,
        device: str = "auto",
        dtype: str = "auto",
        backend: str = "auto",
        max_length: int | None = None,
        revision: str | None = None,
        offline: bool | None = None,
        is_causal: bool | None = None,
    ) -> "Embedder":
        """Load an embedding model.

        Args:
            model: Folder, hub id, or bundled name.
            device: "auto", "cpu", "cuda", "cuda:1", "mps".
            dtype: "auto" (float32 on CPU, bfloat16 on CUDA), "float32", "bfloat16", "float16"
                (GPU) or "int8" (CPU).
            backend: "auto" (what is faster for the lengths at hand), "torch", "openvino", or
                "torch-eager" (the plain module).
            max_length: Longest text in tokens; None means what the model declares.
            revision: Commit, tag or branch on the hub.
            offline: Whether to use local files only; None follows HF_HUB_OFFLINE.
            is_causal: Attention direction of a Qwen2 checkpoint; None follows its config.

        Returns:
            The embedder.

        Raises:
            CheckpointError: The folder is incomplete, damaged, or no embedding model.
            ConfigError: A setting is unknown or contradicts the model.
            BackendUnavailableError: Device, dtype or backend is not available here.
        """
        options = LoadOptions(
            device=device,
            dtype=dtype,
            backend=backend,
            max_length=max_length,
            revision=revision,
            offline=offline,
            is_causal=is_causal,
        )
        return cls(prepare(model, options, wanted="embedding"))

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer; raises `CheckpointError` if the folder has none."""
        return self.prepared.tokenizer()

    @property
    def dim(self) -> int:
        """Width of the dense vectors."""
        return self.model.config.hidden_size

    @property
    def has_sparse(self) -> bool:
        """Whether the model gives sparse token weights."""
        return self.model.has_sparse_head

    @property
    def prompts(self) -> dict[str, str]:
        """The model's named prompts."""
        return dict(self.prepared.settings.prompts)

    def encode(
        self,
        texts: Sequence[str],
        *,
        dense: bool = True,
        sparse: bool = False,
        dim: int | None = None,
        normalize: bool | None = True,
        prompt: str | None = None,
        overflow: Overflow = "truncate",
        max_tokens_per_batch: int | None = None,
        show_progress: bool | None = None,
    ) -> Embeddings:
        """Embed texts.

        Args:
            texts: Texts; a single string counts as one text.
            dense: Whether dense vectors are wanted.
            sparse: Whether sparse token weights are wanted; both come from one pass.
            dim: Keep the first `dim` dimensions (elastic embedding), normalised after the cut.
            normalize: Whether dense vectors get unit length; None follows the model's own files.
            prompt: Name of one of the model's prompts, or the text itself, put before every
                text; None means the model's default prompt, if it has one.
            overflow: "truncate" cuts at `max_length` and reports it, "error" raises.
            max_tokens_per_batch: Token budget of one batch; None means what suits the device.
            show_progress: Progress bar; None means on a terminal, for long work.

        Returns:
            Vectors, token counts and truncation, in the order of the texts.

        Raises:
            DataError: A text is no string, holds a lone surrogate, or is too long for
                `overflow="error"`; the message names it.
            ConfigError: `dim` exceeds the model, or sparse weights are asked of a dense model.
        """
        wanted = self._wanted(dense=dense, sparse=sparse, dim=dim, normalize=normalize)
        settings = self.prepared.settings
        name = settings.default_prompt_name if prompt is None else prompt
        prefix = "" if name is None else settings.prompts.get(name, name)
        tokens = self.tokenizer.encode(
            texts, max_length=self.max_length, overflow=overflow, prefix=prefix
        )
        rows = self.prepared.engine.run(
            TokenInput(ids=tokens.ids),
            embedding_task(self.model, wanted),
            max_tokens_per_batch=max_tokens_per_batch,
            show_progress=show_progress,
        )
        return Embeddings(
            dense=stack_dense(rows, wanted.dim) if dense else None,
            sparse=stack_sparse(rows, self.model.config.vocab_size) if sparse else None,
            num_tokens=tokens.num_tokens,
            is_truncated=np.asarray(tokens.is_truncated, dtype=np.bool_),
            count_dropped=tokens.count_dropped,
        )

    def encode_query(
        self,
        texts: Sequence[str],
        *,
        prompt: str | None = None,
        instruction: str | None = None,
        **options: Unpack[EncodeOptions],
    ) -> Embeddings:
        """Embed queries, with the model's own query prompt if it has one.

        Args:
            texts: Queries.
            prompt: As in `encode`; None means the prompt named "query", if the model has it.
            instruction: What the search is about, for instruction models such as
                gte-Qwen1.5-7B-instruct: becomes "Instruct: ...", then "Query: " and the text.
            options: As in `encode`.

        Returns:
            Vectors in the order of the queries.

        Raises:
            ConfigError: Both a prompt and an instruction are given.
        """
        if instruction is not None:
            if prompt is not None:
                raise ConfigError("encode_query: got prompt and instruction, expected one of them")
            prompt = f"Instruct: {instruction}\nQuery: "
        return self.encode(texts, prompt=self._named(prompt, ("query",)), **options)

    def encode_document(
        self,
        texts: Sequence[str],
        *,
        prompt: str | None = None,
        **options: Unpack[EncodeOptions],
    ) -> Embeddings:
        """Embed documents, with the model's own document prompt if it has one.

        Args:
            texts: Documents.
            prompt: As in `encode`; None means the first of the prompts named "document",
                "passage" and "corpus" that the model has.
            options: As in `encode`.

        Returns:
            Vectors in the order of the documents.
        """
        return self.encode(texts, prompt=self._named(prompt, _DOCUMENT_PROMPTS), **options)

    def encode_ids(
        self,
        sequences: Sequence[TokenIds],
        *,
        token_type_ids: Sequence[TokenIds] | None = None,
        dense: bool = True,
        sparse: bool = False,
        dim: int | None = None,
        normalize: bool | None = True,
        max_tokens_per_batch: int | None = None,
        show_progress: bool | None = None,
    ) -> Embeddings:
        """Embed token id lists as they are: no tokenizer, no prompt, nothing cut.

        Args:
            sequences: Token ids, special tokens included.
            token_type_ids: Segment ids of the same lengths; None means all 0.
            dense: As in `encode`.
            sparse: As in `encode`.
            dim: As in `encode`.
            normalize: As in `encode`.
            max_tokens_per_batch: As in `encode`.
            show_progress: As in `encode`.

        Returns:
            Vectors in the order of the sequences.

        Raises:
            DataError: A sequence is empty, longer than the model, or holds an id outside the
                vocabulary.
        """
        wanted = self._wanted(dense=dense, sparse=sparse, dim=dim, normalize=normalize)
        rows = self.prepared.run_ids(
            sequences,
            token_type_ids,
            embedding_task(self.model, wanted),
            max_tokens_per_batch=max_tokens_per_batch,
            show_progress=show_progress,
        )
        return Embeddings(
            dense=stack_dense(rows, wanted.dim) if dense else None,
            sparse=stack_sparse(rows, self.model.config.vocab_size) if sparse else None,
            num_tokens=np.array([len(ids) for ids in sequences], dtype=np.int64),
            is_truncated=np.zeros(len(sequences), dtype=np.bool_),
        )

    def hidden_states(
        self,
        sequences: Sequence[TokenIds],
        token_type_ids: Sequence[TokenIds] | None = None,
    ) -> list[NDArray[np.float32]]:
        """Last hidden states of the bare encoder, `[tokens, hidden]` per sequence."""

        def reduce(states: Tensor, batch: PackedBatch) -> list[NDArray[np.float32]]:
            return [part.float().cpu().numpy() for part in states.split(batch.seqlens)]

        return self.prepared.run_ids(sequences, token_type_ids, Task(pooling=None, reduce=reduce))

    def similarity(self, a: DenseLike, b: DenseLike) -> NDArray[np.float32]:
        """Similarity of every vector of `a` to every vector of `b`.

        Cosine, or the dot product where the model's own files say so: float32 `[len(a), len(b)]`.

        Raises:
            DataError: The widths differ, or there are no dense vectors.
        """
        return similarity_matrix(a, b, kind=self.prepared.settings.similarity)

    def score(
        self,
        pairs: Sequence[Sequence[str]],
        *,
        dense_weight: float = 1.0,
        sparse_weight: float = 0.3,
        dim: int | None = None,
    ) -> NDArray[np.float32]:
        """Hybrid score of (query, document) pairs: weighted sum of dense and sparse products.

        Args:
            pairs: (query, document) texts; each distinct text is embedded once.
            dense_weight: Weight of the product of the normalised dense vectors.
            sparse_weight: Weight of the product of the token weights over shared tokens.
            dim: Leading dimensions of the dense vectors to use.

        Returns:
            float32 `[num_pairs]`. Source: GTE `gte_embedding.py`, `compute_scores`.

        Raises:
            ConfigError: `sparse_weight` is not 0 and the model has no sparse head.
            DataError: An entry is no pair of strings.
        """
        queries, documents = check_pairs(pairs)
        with_dense, with_sparse = dense_weight != 0, sparse_weight != 0
        if with_sparse and not self.has_sparse:
            raise ConfigError(
                f"sparse_weight: got {sparse_weight}, but this model has no sparse head",
                hint="pass sparse_weight=0",
            )
        if not queries or not (with_dense or with_sparse):
            return np.zeros(len(queries), dtype=np.float32)
        query_rows, document_rows = _distinct(queries), _distinct(documents)
        options = EncodeOptions(dense=with_dense, sparse=with_sparse, dim=dim)
        q = self.encode_query(list(query_rows), **options)
        d = self.encode_document(list(document_rows), **options)
        return weighted_sum(
            take_rows(q, [query_rows[text] for text in queries]),
            take_rows(d, [document_rows[text] for text in documents]),
            dense_weight=dense_weight,
            sparse_weight=sparse_weight,
        )

    def _wanted(
        self, *, dense: bool, sparse: bool, dim: int | None, normalize: bool | None
    ) -> Wanted:
        if not dense and not sparse:
            raise ConfigError("encode: got dense=False and sparse=False, expected one of them")
        if sparse and not self.has_sparse:
            raise ConfigError(
                "sparse: this model has no sparse head",
                hint="use a model with one, such as gte-multilingual-base, or sparse=False",
            )
        is_unit = self.prepared.settings.normalize if normalize is None else normalize
        return Wanted(dense=dense, sparse=sparse, dim=check_dim(dim, self.dim), normalize=is_unit)

    def _named(self, prompt: str | None, names: tuple[str, ...]) -> str | None:
        if prompt is not None:
            return prompt
        return next((name for name in names if name in self.prepared.settings.prompts), None)


def _distinct(texts: Sequence[str]) -> dict[str, int]:
    """Each distinct text with its row, in order of first appearance."""
    return {text: row for row, text in enumerate(dict.fromkeys(texts))}
