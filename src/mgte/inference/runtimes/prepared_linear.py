"""Linear layers with weights laid out once for oneDNN, in float32, bfloat16 or 8 bits.

8 bits: weights signed with one scale per output channel, activations unsigned around 128 with one
scale per token. The token scale and the bias are not applied here but by the kernel that reads the
result next.
"""

from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from mgte.errors import BackendUnavailableError
from mgte.kernels import EncodedRows, Projection

CpuDtype = Literal["float32", "bfloat16", "int8"]

# Each new number of rows makes oneDNN compile kernels (1 to 5 ms), so rows come in these steps.
_ROW_STEP = 32
_ZERO_POINT = 128


class PreparedLinear(Protocol):
    """One linear layer, weights in the layout of its kernel."""

    def __call__(self, rows: EncodedRows, num_rows: int) -> Projection:
        """Project the first `num_rows` rows; the others are padding up to `padded_rows`."""
        ...


def padded_rows(num_rows: int) -> int:
    """Rows that a product is computed for."""
    if num_rows <= _ROW_STEP // 2:
        return _ROW_STEP // 2
    return -(-num_rows // _ROW_STEP) * _ROW_STEP


def has_fast_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 in hardware."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def has_fast_int8() -> bool:
    """Whether the processor multiplies 8-bit integers in hardware."""
    return bool(torch.cpu._is_vnni_supported() or torch.cpu._is_amx_tile_supported())


def check_dtype(dtype: CpuDtype) -> None:
    """Refuse what this processor or this PyTorch cannot compute.

    Raises:
        BackendUnavailableError: There is no bfloat16 hardware, or no oneDNN for 8 bits.
    """
    if dtype == "bfloat16" and not has_fast_bfloat16():
        raise BackendUnavailableError(
            "dtype bfloat16: this processor has neither avx512_bf16 nor AMX",
            hint='use dtype="float32" or dtype="int8"',
        )
    if dtype == "int8" and not torch.backends.mkldnn.is_available():
        raise BackendUnavailableError(
            "dtype int8: this PyTorch was built without oneDNN", hint='use dtype="float32"'
        )


def prepare_linear(weight: Tensor, bias: Tensor | None, dtype: CpuDtype) -> PreparedLinear:
    """Lay out one layer.

    Args:
        weight: `[out, in]`, any float dtype; the caller may drop it afterwards.
        bias: `[out]` or None.
        dtype: What the product runs in.

    Returns:
        The layer, which keeps no reference to `weight` in its given layout.
    """
    bias = None if bias is None else bias.float()
    if dtype == "int8":
        return _Int8Linear(weight.float(), bias)
    if not torch.backends.mkldnn.is_available():
        return _PlainLinear(weight.float(), bias)
    return _OneDnnLinear(weight, bias, getattr(torch, dtype))


class _OneDnnLinear:
    """float32 or bfloat16 through `mkldnn::_linear_pointwise`."""

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> None:
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.to(dtype).contiguous(), 512)
        self._bias = None if bias is None else bias.to(dtype)

    def __call__(self, rows: EncodedRows, num_rows: int) -> Projection:
        values = torch.ops.mkldnn._linear_pointwise(
            rows.values, self._weight, self._bias, "none", [], ""
        )
        return Projection(values=values[:num_rows])


class _Int8Linear:
    """8-bit products through `onednn::qlinear_pointwise`, result in bfloat16 or float32."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        largest = weight.abs().amax(dim=1)
        # NaN weights must not turn into numbers: their scale, and so every result, stays NaN.
        self._scale = torch.where(largest == 0, 1.0, largest / 127)
        codes = (weight / self._scale[:, None]).round().nan_to_num_().to(torch.int8)
        self._weight = torch.ops.onednn.qlinear_prepack(codes, None)
        self._zero_points = torch.zeros(len(weight), dtype=torch.int64)
        self._bias = bias
        self._out = torch.bfloat16 if has_fast_bfloat16() else torch.float32

    def __call__(self, rows: EncodedRows, num_rows: int) -> Projection:
        # Signed activations would fall to a reference path that is 2000 times slower.
        values = torch.ops.onednn.qlinear_pointwise(
            rows.values, 1.0, _ZERO_POINT, self._weight, self._scale, self._zero_points, None,
            1.0, 0, self._out, "none", [], "",
        )  # fmt: skip
        scale = None if rows.scale is None else rows.scale[:num_rows]
        return Projection(values=values[:num_rows], scale=scale, bias=self._bias)


class _PlainLinear:
    """float32 where PyTorch was built without oneDNN."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight, self._bias = weight, bias

    def __call__(self, rows: EncodedRows, num_rows: int) -> Projection:
        return Projection(
            values=functional.linear(rows.values[:num_rows], self._weight, self._bias)
        )
