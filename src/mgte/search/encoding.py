"""Vectors of many texts, some thousand at a time, so that their tokens need not all be held."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mgte.inference import Embedder
from mgte.search.ranking import FloatArray
from mgte.vectors import Embeddings, SparseVectors

_TEXTS_PER_BLOCK = 16_384


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TextVectors:
    """Vectors of texts, in their order.

    Attributes:
        dense: float32 `[num_texts, dim]`; None if not asked for.
        sparse: Token weights; None if not asked for.
        num_tokens: Tokens that the model saw, in all.
        num_truncated: Texts of which tokens were dropped.
    """

    dense: FloatArray | None
    sparse: SparseVectors | None
    num_tokens: int
    num_truncated: int


def comparing_device(embedder: Embedder) -> torch.device:
    """Where the vectors of an embedder are compared: on its GPU (CUDA), else on the CPU."""
    device = embedder.prepared.placement.device
    return device if device.type == "cuda" else torch.device("cpu")


def encode_texts(
    encode: Callable[[Sequence[str]], Embeddings],
    texts: Sequence[str],
    *,
    texts_per_block: int = _TEXTS_PER_BLOCK,
) -> TextVectors:
    """Embed texts; equal texts are embedded once and get equal vectors.

    Args:
        encode: What embeds some texts: `Embedder.encode_document` with its options bound.
        texts: Texts, at least one.
        texts_per_block: Texts whose tokens are held at once.

    Returns:
        Vectors in the order of the texts.
    """
    row_of_text = {text: row for row, text in enumerate(dict.fromkeys(texts))}
    distinct = list(row_of_text)
    parts = [
        encode(distinct[start : start + texts_per_block])
        for start in range(0, len(distinct), texts_per_block)
    ]
    rows = np.array([row_of_text[text] for text in texts], dtype=np.int64)
    is_copy_free = len(distinct) == len(texts)
    dense_parts = [part.dense for part in parts if part.dense is not None]
    sparse_parts = [part.sparse for part in parts if part.sparse is not None]
    dense = np.concatenate(dense_parts) if dense_parts else None
    sparse = (
        SparseVectors.concatenate(sparse_parts, sparse_parts[0].vocab_size)
        if sparse_parts
        else None
    )
    num_tokens = np.concatenate([part.num_tokens for part in parts])
    is_truncated = np.concatenate([part.is_truncated for part in parts])
    if not is_copy_free:
        dense = None if dense is None else dense[rows]
        sparse = None if sparse is None else sparse.take(rows.tolist())
    return TextVectors(
        dense=dense,
        sparse=sparse,
        num_tokens=int(num_tokens.sum()),
        num_truncated=int(is_truncated[rows].sum()),
    )
