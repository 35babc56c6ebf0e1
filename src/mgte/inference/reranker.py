"""Reranker: (query, document) pairs in, one score per pair out."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mgte.errors import ConfigError, DataError
from mgte.inference.engine import Task
from mgte.inference.loading import Prepared, prepare
from mgte.inference.requests import LoadOptions, Overflow, check_pairs
from mgte.model import RerankerModel
from mgte.packing import PackedBatch, TokenIds
from mgte.text import Tokenizer

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class RankedDocument:
    """One document of a ranking.

    Attributes:
        index: Position of the document in the list that was given.
        score: Its score; higher is more relevant.
        text: The document.
    """

    index: int
    score: float
    text: str


@dataclass(frozen=True, kw_only=True, eq=False)
class PairScores:
    """Scores of pairs, in the given order.

    Attributes:
        logits: float32 `[num_pairs, num_labels]`, raw.
        num_tokens: int64 `[num_pairs]`, tokens that the model saw.
        is_truncated: bool `[num_pairs]`, whether tokens of the pair were dropped.
        count_dropped: Counts the dropped tokens of one pair.
    """

    logits: NDArray[np.float32]
    num_tokens: NDArray[np.int64]
    is_truncated: NDArray[np.bool_]
    count_dropped: Callable[[int], int] = field(repr=False)


class Reranker:
    """A cross-encoder, its tokenizer and its settings, ready to run.

    Attributes:
        prepared: Engine, settings and tokenizer.
        model: Head and configuration; the encoder's weights live in the engine's runtimes.
        max_length: Longest pair in tokens, special tokens included.
    """

    def __init__(self, prepared: Prepared) -> None:
        if not isinstance(prepared.model, RerankerModel):
            raise TypeError(f"expected a RerankerModel, got {type(prepared.model).__name__}")
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
    ) -> "Reranker":
        """Load a reranker; the arguments and errors are those of `Embedder.load`.

        Args:
            model: Folder, hub id, or bundled name.
            device: "auto", "cpu", "cuda", "cuda:1", "mps".
            dtype: "auto", "float32", "bfloat16", "float16" (GPU) or "int8" (CPU).
            backend: "auto", "torch", "openvino" or "torch-eager".
            max_length: Longest pair in tokens; None means what the model declares.
            revision: Commit, tag or branch on the hub.
            offline: Whether to use local files only; None follows HF_HUB_OFFLINE.

        Returns:
            The reranker.
        """
        options = LoadOptions(
            device=device,
            dtype=dtype,
            backend=backend,
            max_length=max_length,
            revision=revision,
            offline=offline,
        )
        return cls(prepare(model, options, wanted="reranking"))

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer; raises `CheckpointError` if the folder has none."""
        return self.prepared.tokenizer()

    def predict(
        self,
        pairs: Sequence[Sequence[str]],
        *,
        activation: Literal["sigmoid", "none"] = "sigmoid",
        overflow: Overflow = "truncate",
        max_tokens_per_batch: int | None = None,
        show_progress: bool | None = None,
    ) -> NDArray[np.float32]:
        """Score (query, document) pairs.

        Pairs that are too long are cut (the longer text first) and logged as a warning;
        `score_pairs` reports each of them.

        Args:
            pairs: (query, document) texts.
            activation: "sigmoid" maps scores to 0..1, "none" gives them raw.
            overflow: "truncate" or "error".
            max_tokens_per_batch: Token budget of one batch; None means what suits the device.
            show_progress: Progress bar; None means on a terminal, for long work.

        Returns:
            float32 `[num_pairs]`, or `[num_pairs, num_labels]` for a model of several labels.

        Raises:
            DataError: An entry is no pair of strings, or is too long for `overflow="error"`.
            ConfigError: The activation is unknown.
        """
        if activation not in ("sigmoid", "none"):
            raise ConfigError(f"activation: got {activation!r}, expected 'sigmoid' or 'none'")
        scored = self.score_pairs(
            pairs,
            overflow=overflow,
            max_tokens_per_batch=max_tokens_per_batch,
            show_progress=show_progress,
        )
        num_cut = int(scored.is_truncated.sum())
        if num_cut:
            _logger.warning(
                "%d of %d pairs were cut to max_length=%d tokens, the first is pairs[%d]",
                num_cut,
                len(scored.is_truncated),
                self.max_length,
                int(scored.is_truncated.argmax()),
            )
        logits = scored.logits[:, 0] if scored.logits.shape[1] == 1 else scored.logits
        return _sigmoid(logits) if activation == "sigmoid" else logits

    def score_pairs(
        self,
        pairs: Sequence[Sequence[str]],
        *,
        overflow: Overflow = "truncate",
        max_tokens_per_batch: int | None = None,
        show_progress: bool | None = None,
    ) -> PairScores:
        """Raw scores with token counts and truncation of every pair.

        Args:
            pairs: (query, document) texts.
            overflow: "truncate" or "error".
            max_tokens_per_batch: As in `predict`.
            show_progress: As in `predict`.

        Returns:
            Scores in the given order.
        """
        queries, documents = check_pairs(pairs)
        tokens = self.tokenizer.encode_pairs(
            queries, documents, max_length=self.max_length, overflow=overflow
        )
        logits = self._run(
            tokens.ids,
            tokens.token_type_ids if self.model.config.type_vocab_size > 1 else None,
            max_tokens_per_batch=max_tokens_per_batch,
            show_progress=show_progress,
        )
        return PairScores(
            logits=logits,
            num_tokens=np.array([len(ids) for ids in tokens.ids], dtype=np.int64),
            is_truncated=np.asarray(tokens.is_truncated, dtype=np.bool_),
            count_dropped=tokens.count_dropped,
        )

    def rank(
        self, query: str, documents: Sequence[str], top_k: int | None = None
    ) -> list[RankedDocument]:
        """Documents by falling relevance to a query; equal scores keep their order.

        Args:
            query: The query.
            documents: Documents to rank.
            top_k: How many to return; None means all.

        Returns:
            Ranked documents with sigmoid scores.

        Raises:
            DataError: A text is no string.
            ConfigError: `top_k` is below 1, or the model has several labels.
        """
        if top_k is not None and top_k < 1:
            raise ConfigError(f"top_k: got {top_k}, expected at least 1")
        if isinstance(documents, str):
            raise DataError("documents: got a string, expected a list of documents")
        if self.model.head_config.num_labels != 1:
            raise ConfigError(
                f"rank: this model gives {self.model.head_config.num_labels} labels, expected 1"
            )
        for index, text in enumerate(documents):
            if not isinstance(text, str):
                raise DataError(f"documents[{index}]: got {type(text).__name__}, expected str")
        if not documents:
            return []
        # Each distinct document is scored once: copies must tie, and rounding depends on what
        # travels along.
        row_of_text = {text: row for row, text in enumerate(dict.fromkeys(documents))}
        distinct = self.predict([(query, text) for text in row_of_text])
        scores = distinct[[row_of_text[text] for text in documents]]
        order = np.argsort(-scores, kind="stable")[:top_k].tolist()
        return [
            RankedDocument(index=index, score=float(scores[index]), text=documents[index])
            for index in order
        ]

    def predict_ids(
        self,
        sequences: Sequence[TokenIds],
        token_type_ids: Sequence[TokenIds] | None = None,
    ) -> NDArray[np.float32]:
        """Raw logits of token id lists that are pairs already: float32 `[num, num_labels]`."""
        return self._run(sequences, token_type_ids)

    def _run(
        self,
        ids: Sequence[TokenIds],
        token_type_ids: Sequence[TokenIds] | None,
        *,
        max_tokens_per_batch: int | None = None,
        show_progress: bool | None = None,
    ) -> NDArray[np.float32]:
        def reduce(states: Tensor, batch: PackedBatch) -> list[NDArray[np.float32]]:
            return list(self.model.reduce(states, batch).float().cpu().numpy())

        head = self.model.head_config
        logits = self.prepared.run_ids(
            ids,
            token_type_ids,
            Task(pooling="cls" if head.pooling == "cls" else None, reduce=reduce),
            max_tokens_per_batch=max_tokens_per_batch,
            show_progress=show_progress,
        )
        return np.array(logits, dtype=np.float32).reshape(len(ids), head.num_labels)


def _sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    clipped = np.clip(logits, -80.0, 80.0)  # exp stays finite in float32
    scores: NDArray[np.float32] = np.reciprocal(1.0 + np.exp(-clipped), dtype=np.float32)
    return scores
