"""What callers may ask for, and the checks of it: options, token id lists, pairs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

import numpy as np

from mgte.errors import ConfigError, DataError
from mgte.packing import TokenIds

Overflow = Literal["truncate", "error"]


class EncodeOptions(TypedDict, total=False):
    """Keyword arguments of `Embedder.encode` that its query and document forms share."""

    dense: bool
    sparse: bool
    dim: int | None
    normalize: bool | None
    overflow: Overflow
    max_tokens_per_batch: int | None
    show_progress: bool | None


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadOptions:
    """How a model is loaded; the fields are those of `Embedder.load`.

    Attributes:
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        dtype: "auto", "float32", "bfloat16", "float16" or "int8".
        backend: "auto", "torch", "torch-eager" or "openvino".
        max_length: Longest text in tokens; None means what the model declares.
        revision: Commit, tag or branch on the hub.
        offline: Whether to use local files only; None follows HF_HUB_OFFLINE.
        is_causal: Attention direction of a Qwen2 checkpoint; None follows its config.
    """

    device: str = "auto"
    dtype: str = "auto"
    backend: str = "auto"
    max_length: int | None = None
    revision: str | None = None
    offline: bool | None = None
    is_causal: bool | None = None


def check_dim(dim: int | None, width: int) -> int:
    """The width to keep.

    Raises:
        ConfigError: It is below 1 or exceeds the model.
    """
    if dim is None:
        return width
    if isinstance(dim, bool) or not isinstance(dim, int | np.integer) or not 1 <= dim <= width:
        raise ConfigError(f"dim: got {dim!r}, expected 1 to {width}, the width of the model")
    return int(dim)


def check_ids(
    sequences: Sequence[TokenIds],
    token_type_ids: Sequence[TokenIds] | None,
    *,
    vocab_size: int,
    type_vocab_size: int,
    max_tokens: int | None,
) -> None:
    """Refuse what would fail inside the model, or worse, would not fail.

    Raises:
        DataError: A sequence is empty or too long, or an id is outside the vocabulary; the
            message names the sequence.
    """
    for index, ids in enumerate(sequences):
        place = f"sequence {index}"
        _check_range(ids, vocab_size, f"{place}: token id")
        if max_tokens is not None and len(ids) > max_tokens:
            raise DataError(
                f"{place}: has {len(ids):,} tokens, more than the model's {max_tokens:,}"
            )
    if token_type_ids is None:
        return
    if len(token_type_ids) != len(sequences):
        raise DataError(
            f"token_type_ids: got {len(token_type_ids)} sequences, expected {len(sequences)}"
        )
    for index, (ids, types) in enumerate(zip(sequences, token_type_ids, strict=True)):
        if len(ids) != len(types):
            raise DataError(
                f"token_type_ids[{index}]: has {len(types)} entries, expected {len(ids)}"
            )
        _check_range(types, max(type_vocab_size, 1), f"sequence {index}: token type id")


def check_pairs(pairs: Iterable[Sequence[str]]) -> tuple[list[str], list[str]]:
    """Queries and documents of (query, document) pairs.

    Raises:
        DataError: An entry is no pair; the message names it.
    """
    queries, documents = [], []
    if isinstance(pairs, str):
        raise DataError("pairs: got a string, expected (query, document) pairs")
    for index, pair in enumerate(pairs):
        if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2:
            what = f"{len(pair)} entries" if isinstance(pair, list | tuple) else type(pair).__name__
            raise DataError(f"pairs[{index}]: got {what}, expected (query, document)")
        for side, text in enumerate(pair):
            if not isinstance(text, str):
                raise DataError(f"pairs[{index}][{side}]: got {type(text).__name__}, expected str")
        queries.append(pair[0])
        documents.append(pair[1])
    return queries, documents


def _check_range(ids: TokenIds, size: int, place: str) -> None:
    values = np.asarray(ids)
    if values.size == 0:
        raise DataError(f"{place}s: there are none, expected at least one")
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise DataError(f"{place}s: got {values.dtype} of shape {values.shape}, expected integers")
    low, high = int(values.min()), int(values.max())
    if low < 0 or high >= size:
        raise DataError(f"{place} {low if low < 0 else high}: expected 0 to {size - 1}")
