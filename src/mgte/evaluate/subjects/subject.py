"""TextEncoder, PairScorer and Subject: what is measured, whatever runs it. Loads no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mgte.errors import ConfigError, DataError
from mgte.vectors import Embeddings

# "text": neither side of a search, as in sentence similarity and classification.
Role = Literal["query", "document", "text"]
ROLES: tuple[Role, ...] = ("query", "document", "text")
_SHOWN_CHARACTERS = 60


class TextEncoder(Protocol):
    """Texts to vectors: all that tasks know of an embedding model."""

    @property
    def name(self) -> str:
        """Name of the model, for reports."""
        ...

    @property
    def revision(self) -> str:
        """Commit or hash of the weights; "" where nobody says."""
        ...

    @property
    def max_length(self) -> int | None:
        """Longest text in tokens; None where nobody says."""
        ...

    @property
    def has_dense(self) -> bool:
        """Whether there are dense vectors; a model without has sparse token weights alone."""
        ...

    @property
    def has_sparse(self) -> bool:
        """Whether sparse token weights can be asked for."""
        ...

    @property
    def is_cosine(self) -> bool:
        """Whether vectors have unit length; otherwise they are compared by the dot product."""
        ...

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths at which dense vectors may be cut, ascending, the full one last; none without."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever vectors might: the key under which they are kept on disk."""
        ...

    @property
    def device(self) -> str:
        """Where vectors are best compared: "cpu" or "cuda"."""
        ...

    def encode(self, texts: Sequence[str], *, role: Role, sparse: bool = False) -> Embeddings:
        """Embed texts.

        Args:
            texts: Texts.
            role: What they are, which decides on prompts.
            sparse: Whether sparse token weights are wanted beside dense vectors; models without
                dense vectors always give them.

        Returns:
            float32 vectors in the order of the texts, of unit length if `is_cosine`.

        Raises:
            DataError: The model gives NaN or infinity; the message shows the text.
            ConfigError: Sparse weights are asked of a dense model.
        """
        ...


class PairScorer(Protocol):
    """(query, document) pairs to scores: all that tasks know of a reranker."""

    @property
    def name(self) -> str:
        """Name of the model, for reports."""
        ...

    @property
    def revision(self) -> str:
        """Commit or hash of the weights; "" where nobody says."""
        ...

    @property
    def max_length(self) -> int | None:
        """Longest pair in tokens; None where nobody says."""
        ...

    def score(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Score pairs.

        Args:
            pairs: (query, document) texts; those of one query stand together.

        Returns:
            float32 `[num_pairs]`; higher is more relevant, on any scale.

        Raises:
            DataError: The model gives NaN or infinity; the message shows the pair.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What is measured.

    Attributes:
        encoder: Embeds texts; None where only a reranker is measured.
        reranker: Scores pairs; None without one.
        folder: Folder of the encoder's checkpoint, for tasks that train it further; None for
            models that others run.
    """

    encoder: TextEncoder | None = None
    reranker: PairScorer | None = None
    folder: Path | None = None

    def __post_init__(self) -> None:
        if self.encoder is None and self.reranker is None:
            raise ConfigError("subject: got no encoder and no reranker, expected one of them")

    @property
    def name(self) -> str:
        """Name of the encoder, or of the reranker where there is no encoder."""
        named = self.encoder or self.reranker
        return "" if named is None else named.name

    def wanted_encoder(self, task: str, *, needs_dense: bool = False) -> TextEncoder:
        """The encoder, for a task that cannot do without.

        Args:
            task: Name of the task, for the message.
            needs_dense: Whether the task cannot do without dense vectors either.

        Returns:
            The encoder.

        Raises:
            ConfigError: There is none, or it has no dense vectors.
        """
        if self.encoder is None:
            raise ConfigError(f"{task}: got a reranker alone, expected an embedding model")
        if needs_dense and not self.encoder.has_dense:
            raise ConfigError(
                f"{task}: got {self.encoder.name}, which has no dense vectors, expected a model "
                "that has some",
                hint="models of sparse weights alone are measured on retrieval and reranking",
            )
        return self.encoder


DIVERGED = "the model may have diverged, or overflows in its dtype: try float32"


def check_finite(
    embeddings: Embeddings, texts: Sequence[str], name: str, *, hint: str | None = DIVERGED
) -> Embeddings:
    """Refuse vectors that would silently spoil every comparison.

    Args:
        embeddings: Vectors of the texts.
        texts: The texts.
        name: Name of the model, for the message.
        hint: What may have happened; None for nothing that the user could do.

    Returns:
        The vectors as they came.

    Raises:
        DataError: A vector or weight is no finite number, or there are not as many as texts.
    """
    if len(embeddings) != len(texts):
        raise DataError(f"{name}: got {len(embeddings)} vectors, expected {len(texts)}")
    bad = np.zeros(len(texts), dtype=np.bool_)
    if embeddings.dense is not None:
        # Sums in float64 are finite exactly if all numbers are, and cost no copy.
        bad |= ~np.isfinite(embeddings.dense.sum(axis=1, dtype=np.float64))
    if embeddings.sparse is not None:
        owner = np.repeat(np.arange(len(texts)), np.diff(embeddings.sparse.indptr))
        bad[owner[~np.isfinite(embeddings.sparse.values)]] = True
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"{name}: row {row} holds NaN or infinity, expected numbers; its text: "
            f"{_shown(texts[row])}",
            hint=hint,
        )
    return embeddings


def check_scores(
    scores: NDArray[np.float32], pairs: Sequence[tuple[str, str]], name: str
) -> NDArray[np.float32]:
    """Refuse scores that are no numbers.

    Args:
        scores: One score per pair.
        pairs: The pairs.
        name: Name of the model, for the message.

    Returns:
        The scores as they came.

    Raises:
        DataError: A score is NaN or infinite, or there are not as many as pairs.
    """
    if scores.shape != (len(pairs),):
        raise DataError(f"{name}: got scores of shape {scores.shape}, expected ({len(pairs)},)")
    bad = ~np.isfinite(scores)
    if bad.any():
        query, document = pairs[int(bad.argmax())]
        raise DataError(
            f"{name}: gave NaN or infinity, expected a number, for {_shown(query)} with "
            f"{_shown(document)}"
        )
    return scores


def _shown(text: str) -> str:
    line = " ".join(text[: 4 * _SHOWN_CHARACTERS].split())
    return repr(line if len(line) <= _SHOWN_CHARACTERS else line[: _SHOWN_CHARACTERS - 1] + "…")
