"""What an OpenVINO request is fed: equally long sequences of a packed batch and their tables."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from mgte.model import EncoderConfig, RopeConfig, rope_table
from mgte.packing import PackedBatch

Array = np.ndarray[Any, np.dtype[Any]]

# Up to this many windows the whole square costs no more than blocks.
_SQUARE_WINDOWS = 4
_KEPT_TOKENS = 1024


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Request:
    """Equally long sequences whose wanted rows are the same.

    Attributes:
        tokens: Places of the sequences' tokens in the packed batch, `[B, L]`.
        positions: Positions of these tokens; `[L]`.
        rows: Wanted rows of each sequence, `[R]`.
        places: Where the states of these rows go in the result, `[B, R]`.
    """

    tokens: Array
    positions: Array
    rows: Array
    places: Array


def split_batch(batch: PackedBatch, rows: Array | None) -> Iterator[Request]:
    """Gather the sequences of a batch that can share a request.

    Args:
        batch: The packed batch.
        rows: Wanted tokens as indices into the packed batch, in any order; None means all.

    Yields:
        Requests that together give every wanted row once.
    """
    offsets = np.asarray(batch.offsets)
    wanted = np.arange(batch.num_tokens) if rows is None else rows
    owners = np.searchsorted(offsets, wanted, side="right") - 1
    order = np.argsort(owners, kind="stable")
    bounds = np.searchsorted(owners[order], np.arange(len(batch) + 1))
    groups: dict[tuple[int, bytes], list[int]] = {}
    for sequence, length in enumerate(batch.seqlens):
        own = order[bounds[sequence] : bounds[sequence + 1]]
        if own.size:
            local = wanted[own] - offsets[sequence]
            groups.setdefault((length, local.tobytes()), []).append(sequence)
    for (length, key), sequences in groups.items():
        # OpenVINO 2026.4: if the first sequence that a fused attention kernel sees has one token,
        # every later result is wrong. Two copies of a lone token at one position attend to
        # each other without changing either, so no request is ever that short.
        positions = np.arange(length) if length > 1 else np.zeros(2, dtype=np.int64)
        yield Request(
            tokens=offsets[sequences][:, None] + positions,
            positions=positions,
            rows=np.frombuffer(key, dtype=wanted.dtype).astype(np.int64),
            places=np.stack([order[bounds[s] : bounds[s + 1]] for s in sequences]),
        )


class Tables:
    """Inputs that follow from the config and the length alone, kept for lengths seen lately."""

    def __init__(self, config: EncoderConfig) -> None:
        self._config = config
        self._rotary = lru_cache(maxsize=16)(self._build_rotary)
        self._short_blocks = lru_cache(maxsize=64)(self._build_blocks)

    def inputs(self, request: Request, names: set[str]) -> dict[str, Array]:
        """The named inputs of the graph, without `x`."""
        config, positions = self._config, request.positions
        length = request.tokens.shape[1]
        feed: dict[str, Array] = {"rows": request.rows}
        for kind, rope in (("", config.rope), ("local_", config.local_rope)):
            if f"{kind}cos" in names and rope is not None:
                # Powers of two, so that few tables serve all lengths.
                size = max(512, 1 << (length - 1).bit_length())
                for part, table in zip(("cos", "sin"), self._rotary(rope, size), strict=True):
                    view = table[:length] if positions[-1] else table[positions]
                    feed[kind + part] = view[None, :, None, :]
        if "query_scale" in names:
            feed["query_scale"] = self._query_scale(int(positions[-1]) + 1)
        if "blocks.mask" in names:
            feed |= self._block_inputs(request)
        return {name: values for name, values in feed.items() if name in names}

    def _query_scale(self, length: int) -> Array:
        """ln(tokens) / ln(max positions), see `mgte.model.logn_query_scale`."""
        scale = math.log(length) / math.log(self._config.max_position_embeddings)
        if self._config.logn_attention_clip1:
            scale = max(scale, 1.0)
        return np.array([scale], dtype=np.float32)

    def _build_rotary(self, rope: RopeConfig, size: int) -> tuple[Array, Array]:
        cos, sin = (
            torch.cat((table, table), dim=-1).numpy()
            for table in rope_table(rope, self._config.head_dim, size)
        )
        return cos, sin

    def _block_inputs(self, request: Request) -> dict[str, Array]:
        """Places of blocks for every sequence of the request, and the mask of each block."""
        size, length = request.tokens.shape
        # The masks of long sequences take megabytes, and building them is little beside running.
        build = self._short_blocks if length <= _KEPT_TOKENS else self._build_blocks
        queries, keys, tokens, mask = build(length)
        starts = np.arange(size)[:, None, None]
        return {
            "blocks.queries": (queries + starts * length).reshape(-1, queries.shape[1]),
            "blocks.keys": (keys + starts * length).reshape(-1, keys.shape[1]),
            "blocks.tokens": tokens + starts[:, 0] * queries.size,
            "blocks.mask": mask if size == 1 else np.tile(mask, (size, 1, 1, 1)),
        }

    def _build_blocks(self, length: int) -> tuple[Array, Array, Array, Array]:
        """Blocks of one sequence: query places, key places, place of each token, mask."""
        window = self._config.local_window
        block, reach = (length, 0) if length <= _SQUARE_WINDOWS * window else (window, window)
        starts = np.arange(0, length, block)[:, None]
        i = starts + np.arange(block)
        j = starts + np.arange(-reach, block + reach)
        distance = i[:, :, None] - j[:, None, :]
        is_visible = (np.abs(distance) <= window) & ((j >= 0) & (j < length))[:, None, :]
        if self._config.is_causal:
            is_visible &= distance >= 0
        # Rows past the end are dropped; seeing something keeps their softmax finite.
        is_visible |= (i >= length)[:, :, None]
        mask = np.where(is_visible, 0.0, -np.inf).astype(np.float32)[:, None]
        places = np.arange(length)
        return np.minimum(i, length - 1), np.clip(j, 0, length - 1), places, mask
