"""Attention backends, each stating what it supports. The only file that probes optional kernels.

* `sdpa`: CPU. Sequences of equal length go through scaled_dot_product_attention together; local
  windows as a band of blocks, so that time and memory grow linearly with length.
* `varlen`: CUDA in half precision, PyTorch's own variable-length flash kernel, nothing padded.
* `flex`: CUDA in any dtype, compiled FlexAttention with a document mask.
* `padded`: any device (Apple MPS); pads inside the call, the only place where padding exists.

Legend: T tokens, N query heads, K key/value heads, H head_dim, L tokens of one sequence.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention
from torch.nn.utils.rnn import pad_sequence

from mgte.packing import PackedBatch, sequence_of_token


@dataclass(frozen=True, kw_only=True, slots=True)
class AttentionSpec:
    """What varies between layers.

    Attributes:
        scale: Factor on the scores before softmax.
        window: A token sees keys with |i - j| <= window; None means the whole sequence.
        is_causal: Whether token i sees only keys j <= i.
    """

    scale: float
    window: int | None = None
    is_causal: bool = False


class AttentionBackend(Protocol):
    """One way to compute attention over a packed batch."""

    name: str

    def unsupported(self, device: str, dtype: torch.dtype, spec: AttentionSpec) -> str | None:
        """Why this backend cannot take the case, as the end of a sentence; None if it can."""
        ...

    def run(
        self, q: Tensor, k: Tensor, v: Tensor, batch: PackedBatch, spec: AttentionSpec
    ) -> Tensor:
        """Attention output `[T, N, H]` for q `[T, N, H]` and k, v `[T, K, H]`."""
        ...


class SequenceSdpa:
    """scaled_dot_product_attention over groups of equally long sequences."""

    name = "sdpa"

    def unsupported(self, device: str, dtype: torch.dtype, spec: AttentionSpec) -> str | None:
        """Why not: everything but the CPU has a faster backend."""
        return None if device in ("cpu", "meta") else f"runs on cpu, not on {device}"

    def run(
        self, q: Tensor, k: Tensor, v: Tensor, batch: PackedBatch, spec: AttentionSpec
    ) -> Tensor:
        """One call per distinct length."""
        if torch.is_autocast_enabled("cpu"):
            # Training: PyTorch's bfloat16 backward pass on a CPU takes longer than float32's.
            with torch.autocast("cpu", enabled=False):
                return self.run(q.float(), k.float(), v.float(), batch, spec)
        k, v = _repeat_heads(k, q.shape[1]), _repeat_heads(v, q.shape[1])
        runs = _runs_of_equal_length(batch.seqlens)
        # One split, not a slice per run: the backward pass of a slice fills a whole batch of zeros.
        parts = (x.split([count * length for count, length in runs]) for x in (q, k, v))
        outputs = []
        for (count, length), *part in zip(runs, *parts, strict=True):
            shape = (count, length, *q.shape[1:])
            qs, ks, vs = (x.view(shape).transpose(1, 2) for x in part)
            if spec.window is not None and length > spec.window + 1:
                out = _banded(qs, ks, vs, window=spec.window, spec=spec)
            else:
                out = scaled_dot_product_attention(
                    qs, ks, vs, is_causal=spec.is_causal, scale=spec.scale
                )
            outputs.append(out.transpose(1, 2).reshape(count * length, *q.shape[1:]))
        return torch.cat(outputs) if len(outputs) > 1 else outputs[0]


class Varlen:
    """`torch.nn.attention.varlen`: flash attention over cu_seqlens, part of PyTorch itself."""

    name = "varlen"

    def unsupported(self, device: str, dtype: torch.dtype, spec: AttentionSpec) -> str | None:
        """Why not: device, dtype, compute capability, or a window in an old PyTorch."""
        if device != "cuda":
            return f"runs on cuda, not on {device}"
        if dtype not in (torch.float16, torch.bfloat16):
            return f"needs float16 or bfloat16, got {dtype}"
        if torch.cuda.get_device_capability() < (8, 0):
            return "needs compute capability 8.0 or higher"
        parameters = _varlen_parameters()
        if parameters is None:
            return "needs torch.nn.attention.varlen of a newer PyTorch"
        if spec.window is not None and "window_size" not in parameters:
            return "needs a newer PyTorch for local windows"
        return None

    def run(
        self, q: Tensor, k: Tensor, v: Tensor, batch: PackedBatch, spec: AttentionSpec
    ) -> Tensor:
        """One kernel launch over the whole batch."""
        from torch.nn.attention.varlen import varlen_attn

        parameters = _varlen_parameters() or frozenset()
        options: dict[str, Any] = {"scale": spec.scale} if "scale" in parameters else {}
        if "scale" not in options:
            q = q * (spec.scale * q.shape[-1] ** 0.5)
        if "window_size" in parameters:
            reach = -1 if spec.window is None else spec.window
            options["window_size"] = (reach, 0 if spec.is_causal else reach)
        elif spec.is_causal:
            options["is_causal"] = True
        k, v = _repeat_heads(k, q.shape[1]), _repeat_heads(v, q.shape[1])
        bounds = (batch.cu_seqlens, batch.cu_seqlens, batch.max_seqlen, batch.max_seqlen)
        out = varlen_attn(q.contiguous(), k.contiguous(), v.contiguous(), *bounds, **options)
        return out if isinstance(out, Tensor) else out[0]


class Flex:
    """Compiled FlexAttention with a mask that keeps sequences apart."""

    name = "flex"

    def unsupported(self, device: str, dtype: torch.dtype, spec: AttentionSpec) -> str | None:
        """Why not: the compiled backward pass exists on CUDA only."""
        return None if device == "cuda" else f"runs on cuda, not on {device}"

    def run(
        self, q: Tensor, k: Tensor, v: Tensor, batch: PackedBatch, spec: AttentionSpec
    ) -> Tensor:
        """One kernel launch; the block mask is linear in the number of blocks that touch."""
        from torch.nn.attention.flex_attention import create_block_mask

        owner = sequence_of_token(batch)

        def is_visible(_b: Tensor, _h: Tensor, i: Tensor, j: Tensor) -> Tensor:
            visible = owner[i] == owner[j]
            if spec.window is not None:
                visible = visible & ((i - j).abs() <= spec.window)
            return visible & (i >= j) if spec.is_causal else visible

        num_tokens = q.shape[0]
        mask = create_block_mask(is_visible, None, None, num_tokens, num_tokens, device=q.device)
        k, v = _repeat_heads(k, q.shape[1]), _repeat_heads(v, q.shape[1])
        q, k, v = (x.transpose(0, 1)[None] for x in (q, k, v))
        out: Tensor = _compiled_flex()(q, k, v, block_mask=mask, scale=spec.scale)
        return out[0].transpose(0, 1)


class Padded:
    """scaled_dot_product_attention over one padded tensor; padding never leaves this class."""

    name = "padded"

    def unsupported(self, device: str, dtype: torch.dtype, spec: AttentionSpec) -> str | None:
        """Takes every case."""
        return None

    def run(
        self, q: Tensor, k: Tensor, v: Tensor, batch: PackedBatch, spec: AttentionSpec
    ) -> Tensor:
        """Pad, attend under a mask, take the real tokens."""
        k, v = _repeat_heads(k, q.shape[1]), _repeat_heads(v, q.shape[1])
        qs, ks, vs = (
            pad_sequence(x.split(batch.seqlens), batch_first=True).transpose(1, 2)
            for x in (q, k, v)
        )
        lengths = batch.cu_seqlens.diff().to(q.device)
        positions = torch.arange(batch.max_seqlen, device=q.device)
        is_real = positions < lengths[:, None]
        mask = is_real[:, None, None, :] & _visible(positions[:, None], positions, spec)
        # A padded query row would see no key inside a window and turn into NaN.
        mask = mask | ~is_real[:, None, :, None]
        out = scaled_dot_product_attention(qs, ks, vs, attn_mask=mask, scale=spec.scale)
        return out.transpose(1, 2)[is_real]


BACKENDS: dict[str, AttentionBackend] = {
    backend.name: backend for backend in (Varlen(), Flex(), SequenceSdpa(), Padded())
}


def _repeat_heads(x: Tensor, num_heads: int) -> Tensor:
    """Grouped heads written out, so that every kernel sees as many as there are queries."""
    groups = num_heads // x.shape[1]
    return x if groups == 1 else x.repeat_interleave(groups, dim=1)


def _runs_of_equal_length(seqlens: tuple[int, ...]) -> list[tuple[int, int]]:
    """(number of sequences, length) of each run of neighbours of one length."""
    return [(len(list(run)), length) for length, run in groupby(seqlens)]


def _visible(i: Tensor, j: Tensor, spec: AttentionSpec) -> Tensor:
    """Which keys j a query at i may see inside its own sequence."""
    visible = torch.ones_like(i - j, dtype=torch.bool)
    if spec.window is not None:
        visible = visible & ((i - j).abs() <= spec.window)
    return visible & (i >= j) if spec.is_causal else visible


def _banded(q: Tensor, k: Tensor, v: Tensor, *, window: int, spec: AttentionSpec) -> Tensor:
    """Local attention of `[B, N, L, H]`: L/block products of block x (block + 2 window)."""
    size, heads, length, _ = q.shape
    block = max(window, 32)
    num_blocks = -(-length // block)
    tail = num_blocks * block - length
    q_blocks = pad(q, (0, 0, 0, tail)).unflatten(2, (num_blocks, block))
    # unfold puts the unfolded axis last: [B, N, blocks, H, block + 2 window].
    k_blocks, v_blocks = (
        pad(x, (0, 0, window, window + tail)).unfold(2, block + 2 * window, block).mT
        for x in (k, v)
    )
    device = q.device
    starts = torch.arange(num_blocks, device=device)[:, None, None] * block
    i = starts + torch.arange(block, device=device)[None, :, None]
    j = starts + torch.arange(-window, block + window, device=device)[None, None, :]
    mask = _visible(i, j, spec) & (j >= 0) & (j < length)
    # Rows past the end see no key; letting them see all keeps softmax finite, they are cut off.
    mask = mask | (i >= length)
    # Blocks become the batch dimension: a mask per block, shared by the heads.
    qs, ks, vs = (x.transpose(1, 2).flatten(0, 1) for x in (q_blocks, k_blocks, v_blocks))
    masks = mask.repeat(size, 1, 1)[:, None]
    out = scaled_dot_product_attention(qs, ks, vs, attn_mask=masks, scale=spec.scale)
    joined = out.unflatten(0, (size, num_blocks)).transpose(1, 2)
    padded: Tensor = joined.reshape(size, heads, num_blocks * block, -1)
    return padded[:, :, :length]


@cache
def _varlen_parameters() -> frozenset[str] | None:
    """Parameter names of varlen_attn, which changed between releases; None if it is not there."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    return frozenset(inspect.signature(varlen_attn).parameters)


@cache
def _compiled_flex() -> Callable[..., Any]:
    from torch.nn.attention.flex_attention import flex_attention

    compiled: Callable[..., Any] = torch.compile(flex_attention, dynamic=True)
    return compiled
