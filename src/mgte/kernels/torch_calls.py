"""TorchKernels: the same work in plain PyTorch, on any machine.

Legend: N query heads, K key/value heads, H head width.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from mgte.kernels.records import (
    ActivationName,
    AttentionInput,
    AttentionShape,
    EncodedRows,
    NormWeights,
    Projection,
    Rotation,
)

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "silu": functional.silu,
    "relu": functional.relu,
    "tanh": torch.tanh,
}
# Query rows per call where a mask is needed; its memory and the waste around a window grow with it.
_MASKED_ROWS = 256


class TorchKernels:
    """Kernels made of PyTorch operations."""

    name = "torch"

    def unsupported(self, shape: AttentionShape, dtype: torch.dtype) -> str | None:
        """Takes every case."""
        return None

    def attention(
        self, inputs: AttentionInput, shape: AttentionShape, output: Tensor, begin: int
    ) -> None:
        """Attention of query rows `begin .. begin + len(output)`, written to `output`."""
        starts: list[int] = inputs.cu_seqlens.tolist()
        end = begin + output.shape[0]
        row = begin
        if inputs.rows is not None:
            tokens = inputs.rows[begin:end].contiguous()
            owners = torch.searchsorted(inputs.cu_seqlens[1:], tokens, right=True).tolist()
        seq = 0
        while row < end:
            if inputs.rows is None:
                while starts[seq + 1] <= row:
                    seq += 1
                stop = self._equal_run(starts, seq, row, end) if shape.window is None else 0
                if stop:
                    count = (stop - row) // (starts[seq + 1] - starts[seq])
                    self._whole(inputs, shape, output, begin, row, stop, count)
                    row = stop
                    continue
                stop = min(end, starts[seq + 1], row + _MASKED_ROWS)
                at = torch.arange(row, stop) - starts[seq]
            else:
                seq, stop = owners[row - begin], row + 1
                while stop < min(end, row + _MASKED_ROWS) and owners[stop - begin] == seq:
                    stop += 1
                at = inputs.rows[row:stop] - starts[seq]
            span = (starts[seq], starts[seq + 1])
            target = output[row - begin : stop - begin]
            target.copy_(_some_rows(inputs, shape, inputs.queries[row:stop], at, span))
            row = stop

    def packed_room(
        self, inputs: AttentionInput, shape: AttentionShape
    ) -> tuple[Tensor, Tensor] | None:
        """Nothing is packed here."""
        return None

    def pack_keys_values(self, inputs: AttentionInput, shape: AttentionShape, heads: range) -> None:
        """Nothing is packed here."""

    def rotate(self, source: Projection, rotation: Rotation, target: Tensor) -> None:
        """Apply scale, bias and rotation to the source rows, and write them to `target`."""
        x = _value(source)
        turned = rotation.num_heads * rotation.head_dim
        if turned and rotation.cosines is not None and rotation.sines is not None:
            cos, sin = (
                table[rotation.positions][:, None] for table in (rotation.cosines, rotation.sines)
            )
            heads = x[:, :turned].unflatten(1, (-1, rotation.head_dim))
            first, second = heads.chunk(2, dim=-1)
            heads = torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
            x = torch.cat((heads.flatten(1), x[:, turned:]), dim=1)
        if rotation.query_scale is not None:
            scaled = rotation.num_scaled_heads * rotation.head_dim
            x = torch.cat((x[:, :scaled] * rotation.query_scale[:, None], x[:, scaled:]), dim=1)
        target.copy_(x)

    def norm(
        self,
        source: Projection,
        residual: Tensor | None,
        weights: NormWeights | None,
        *,
        summed: Tensor | None = None,
        normed: Tensor | None = None,
        encoded: EncodedRows | None = None,
    ) -> None:
        """Sum source and residual into `summed`, its norm into `normed` and `encoded`."""
        x = _value(source)
        if residual is not None:
            x = x + residual
        y = x
        if weights is not None:
            size = (x.shape[1],)
            if weights.is_rms:
                y = functional.rms_norm(x, size, weights.weight, weights.epsilon)
            else:
                y = functional.layer_norm(x, size, weights.weight, weights.bias, weights.epsilon)
        if summed is not None:
            summed.copy_(x)
        if normed is not None:
            normed.copy_(y)
        if encoded is not None:
            _store(y, encoded)

    def activate(
        self, source: Projection, activation: ActivationName, target: EncodedRows, *, is_gated: bool
    ) -> None:
        """act(source), or act(first half) * second half, encoded into `target`."""
        x = _value(source)
        apply = _ACTIVATIONS[activation]
        if is_gated:
            gate, up = x.chunk(2, dim=-1)
            _store(apply(gate) * up, target)
        else:
            _store(apply(x), target)

    def encode(self, values: Tensor, target: EncodedRows) -> None:
        """Rows as 8-bit codes with one scale per row."""
        _store(values.float(), target)

    def _equal_run(self, starts: list[int], seq: int, row: int, end: int) -> int:
        """Where the run of whole, equally long sequences from here ends; 0 if none starts here."""
        length = starts[seq + 1] - starts[seq]
        if row != starts[seq] or row + length > end:
            return 0
        stop = row
        while seq + 1 < len(starts) and starts[seq + 1] - starts[seq] == length:
            if stop + length > end:
                break
            stop, seq = stop + length, seq + 1
        return stop

    def _whole(
        self,
        inputs: AttentionInput,
        shape: AttentionShape,
        output: Tensor,
        begin: int,
        row: int,
        stop: int,
        count: int,
    ) -> None:
        """Whole sequences of equal length, one call."""
        query, key, value = (
            _heads(part[row:stop], shape).unflatten(0, (count, -1)).transpose(1, 2)
            for part in (inputs.queries, inputs.keys, inputs.values)
        )
        out = functional.scaled_dot_product_attention(
            query,
            key,
            value,
            is_causal=shape.is_causal,
            scale=shape.scale,
            enable_gqa=shape.num_heads != shape.num_key_value_heads,
        )
        output[row - begin : stop - begin].copy_(out.transpose(1, 2).flatten(0, 1).flatten(1))


def _some_rows(
    inputs: AttentionInput,
    shape: AttentionShape,
    queries: Tensor,
    at: Tensor,
    span: tuple[int, int],
) -> Tensor:
    """Rows at positions `at` of the sequence that occupies tokens `span`."""
    first, last = 0, span[1] - span[0]
    if shape.window is not None:
        first = max(first, int(at.min()) - shape.window)
        last = min(last, int(at.max()) + shape.window + 1)
    if shape.is_causal:
        last = min(last, int(at.max()) + 1)
    keys = slice(span[0] + first, span[0] + last)
    mask = None
    if shape.window is not None or shape.is_causal:
        distance = at[:, None] - torch.arange(first, last)
        mask = torch.ones_like(distance, dtype=torch.bool)
        if shape.window is not None:
            mask &= distance.abs() <= shape.window
        if shape.is_causal:
            mask &= distance >= 0
    query, key, value = (
        _heads(part, shape).transpose(0, 1)[None]
        for part in (queries, inputs.keys[keys], inputs.values[keys])
    )
    out = functional.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask,
        scale=shape.scale,
        enable_gqa=shape.num_heads != shape.num_key_value_heads,
    )
    return out[0].transpose(0, 1).flatten(1)


def _heads(rows: Tensor, shape: AttentionShape) -> Tensor:
    """`[rows, heads * H]` to `[rows, heads, H]`."""
    heads: Tensor = rows.unflatten(1, (-1, shape.head_dim))
    return heads


def _value(source: Projection) -> Tensor:
    x = source.values.float()
    if source.scale is not None:
        x = x * source.scale[:, None]
    return x if source.bias is None else x + source.bias


def _store(x: Tensor, target: EncodedRows) -> None:
    if target.scale is None:
        target.values.copy_(x)
        return
    largest = x.abs().amax(dim=1)
    scale = torch.where(largest == 0, 1.0, largest / 127)
    target.scale.copy_(scale)
    codes = (x / scale[:, None]).round().nan_to_num_().add_(128)
    target.values.copy_(codes.clamp_(0, 255).to(torch.uint8))
