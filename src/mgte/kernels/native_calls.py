"""NativeKernels: the compiled kernels, called on torch tensors.

ctypes releases the interpreter lock, so that several worker threads compute at once. Shapes,
dtypes and strides are checked here, because the C side cannot.
"""

import ctypes
import math
import threading

import torch
from torch import Tensor

from mgte.errors import BackendUnavailableError
from mgte.kernels.loader import load_library
from mgte.kernels.native_jobs import (
    ACTIVATIONS,
    KIND_BFLOAT16,
    KIND_FLOAT32,
    KIND_UINT8,
    ActivateJob,
    AttendJob,
    NormJob,
    RotateJob,
)
from mgte.kernels.records import (
    ActivationName,
    AttentionInput,
    AttentionShape,
    EncodedRows,
    NormWeights,
    Projection,
    Rotation,
)

_KINDS = {torch.float32: KIND_FLOAT32, torch.bfloat16: KIND_BFLOAT16, torch.uint8: KIND_UINT8}
_SUFFIXES = {torch.float32: "f32", torch.bfloat16: "bf16"}
_WIDEST_NORM = 16384
_PANEL = 64


class NativeKernels:
    """The compiled kernels of this package.

    Raises:
        BackendUnavailableError: They are not built, switched off, or the processor lacks AVX-512.
    """

    name = "native"

    def __init__(self) -> None:
        found = load_library()
        if found.library is None:
            raise BackendUnavailableError(
                f"compiled kernels: they {found.reason}",
                hint="the torch fallback computes the same, slower",
            )
        self._library = found.library
        self._has_bfloat16 = found.has_bfloat16
        self._local = threading.local()
        for suffix in _SUFFIXES.values():
            scratch = getattr(self._library, f"mgte_attend_scratch_{suffix}")
            scratch.restype, scratch.argtypes = ctypes.c_int64, [ctypes.c_int64] * 2
            pack = getattr(self._library, f"mgte_pack_keys_values_{suffix}")
            pack.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64]
        pointer, integer = ctypes.c_void_p, ctypes.c_int64
        self._library.mgte_encode_u8.argtypes = [pointer, *[integer] * 4, pointer, pointer]

    def unsupported(self, shape: AttentionShape, dtype: torch.dtype) -> str | None:
        """Why attention of this kind cannot run here; None if it can."""
        if dtype not in _SUFFIXES:
            return f"takes float32 or bfloat16, not {dtype}"
        if dtype == torch.bfloat16 and not self._has_bfloat16:
            return "needs a processor with avx512_bf16 for bfloat16"
        if shape.head_dim % 16:
            return f"needs a head width that is a multiple of 16, not {shape.head_dim}"
        return None

    def attention(
        self, inputs: AttentionInput, shape: AttentionShape, output: Tensor, begin: int
    ) -> None:
        """Attention of query rows `begin .. begin + len(output)`, written to `output`."""
        suffix = _SUFFIXES[inputs.queries.dtype]
        job = _attend_job(inputs, shape)
        job.row_begin, job.row_end = begin, begin + output.shape[0]
        job.output, job.output_stride = _rows(output), output.stride(0)
        length = 0 if inputs.packed is not None else inputs.max_seqlen
        room = getattr(self._library, f"mgte_attend_scratch_{suffix}")(length, shape.head_dim)
        job.scratch = self._room("attention", room).data_ptr()
        getattr(self._library, f"mgte_attend_{suffix}")(ctypes.byref(job))

    def packed_room(self, inputs: AttentionInput, shape: AttentionShape) -> tuple[Tensor, Tensor]:
        """Empty buffers for `pack_keys_values`."""
        lengths = inputs.cu_seqlens.diff()
        padded = int(((lengths + _PANEL - 1) // _PANEL * _PANEL).sum())
        size = (shape.num_key_value_heads, padded, shape.head_dim)
        keys, values = (torch.empty(size, dtype=inputs.keys.dtype) for _ in range(2))
        return keys, values

    def pack_keys_values(self, inputs: AttentionInput, shape: AttentionShape, heads: range) -> None:
        """Pack some key/value heads into `inputs.packed`, for calls that share them."""
        job = _attend_job(inputs, shape)
        pack = getattr(self._library, f"mgte_pack_keys_values_{_SUFFIXES[inputs.keys.dtype]}")
        pack(ctypes.addressof(job), heads.start, heads.stop)

    def rotate(self, source: Projection, rotation: Rotation, target: Tensor) -> None:
        """Apply scale, bias and rotation to the source rows, and write them to `target`."""
        values = source.values
        if values.dtype != target.dtype or values.shape != target.shape:
            raise TypeError(f"rotate: {values.shape} {values.dtype} into {target.shape}")
        job = RotateJob(
            source=_rows(values),
            target=_rows(target),
            row_scale=_vector(source.scale, values.shape[0]),
            bias=_vector(source.bias, values.shape[1]),
            query_scale=_vector(rotation.query_scale, values.shape[0]),
            rows=values.shape[0],
            columns=values.shape[1],
            source_stride=values.stride(0),
            target_stride=target.stride(0),
            num_scaled_heads=rotation.num_scaled_heads,
            head_dim=rotation.head_dim,
            kind=self._target_kind(target),
        )
        if rotation.num_heads and rotation.cosines is not None and rotation.sines is not None:
            job.num_rotated_heads = rotation.num_heads
            job.cosines = _vector(rotation.cosines, rotation.cosines.numel())
            job.sines = _vector(rotation.sines, rotation.cosines.numel())
            positions = rotation.positions
            if positions is None or positions.dtype != torch.int64 or positions.stride(0) != 1:
                raise TypeError("rotate: positions must be contiguous int64")
            job.positions = positions.data_ptr()
        self._library.mgte_rotate(ctypes.byref(job))

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
        values = source.values
        rows, width = values.shape
        if width > _WIDEST_NORM:
            raise TypeError(f"norm: rows of {width} are wider than {_WIDEST_NORM}")
        job = NormJob(
            values=_rows(values),
            row_scale=_vector(source.scale, rows),
            value_bias=_vector(source.bias, width),
            sum=_matrix(summed, values),
            normed=_matrix(normed, values),
            rows=rows,
            width=width,
            value_stride=values.stride(0),
            value_kind=_KINDS[values.dtype],
        )
        if residual is not None:
            job.residual = _matrix(residual, values)
            job.residual_stride = width
        if weights is not None:
            job.weight = _vector(weights.weight, width)
            job.bias = _vector(weights.bias, width)
            job.epsilon, job.is_rms = weights.epsilon, weights.is_rms
        if encoded is not None:
            job.encoded, job.encoded_stride = _rows(encoded.values), encoded.values.stride(0)
            job.encoded_kind = self._target_kind(encoded.values)
            job.encoded_scale = _code_scale(encoded, rows)
        self._library.mgte_norm(ctypes.byref(job))

    def activate(
        self, source: Projection, activation: ActivationName, target: EncodedRows, *, is_gated: bool
    ) -> None:
        """act(source), or act(first half) * second half, encoded into `target`."""
        values, (rows, width) = source.values, target.values.shape
        if values.shape != (rows, width * 2 if is_gated else width):
            raise TypeError(f"activate: {values.shape} into {target.values.shape}")
        job = ActivateJob(
            values=_rows(values),
            row_scale=_vector(source.scale, rows),
            bias=_vector(source.bias, values.shape[1]),
            target=_rows(target.values),
            target_scale=_code_scale(target, rows),
            rows=rows,
            width=width,
            value_stride=values.stride(0),
            target_stride=target.values.stride(0),
            value_kind=_KINDS[values.dtype],
            target_kind=self._target_kind(target.values),
            act=ACTIVATIONS[activation],
            is_gated=is_gated,
        )
        if target.scale is not None:
            job.room = self._room("activation", 4 * width + 64).data_ptr()
        self._library.mgte_activate(ctypes.byref(job))

    def encode(self, values: Tensor, target: EncodedRows) -> None:
        """Rows as 8-bit codes with one scale per row."""
        rows, width = values.shape
        if target.values.shape != values.shape or not target.values.is_contiguous():
            raise TypeError(f"encode: {values.shape} into {target.values.shape}")
        self._library.mgte_encode_u8(
            _rows(values), _KINDS[values.dtype], values.stride(0), rows, width,
            target.values.data_ptr(), _code_scale(target, rows),
        )  # fmt: skip

    def _target_kind(self, target: Tensor) -> int:
        if target.dtype == torch.bfloat16 and not self._has_bfloat16:
            raise TypeError("kernel: this processor has no avx512_bf16 to write bfloat16 with")
        return _KINDS[target.dtype]

    def _room(self, name: str, num_bytes: int) -> Tensor:
        """Scratch memory of this thread, kept from call to call."""
        room: Tensor | None = getattr(self._local, name, None)
        if room is None or room.numel() < num_bytes:
            room = torch.empty(num_bytes, dtype=torch.uint8)
            setattr(self._local, name, room)
        return room


def _attend_job(inputs: AttentionInput, shape: AttentionShape) -> AttendJob:
    widths = [shape.num_heads * shape.head_dim] + [shape.num_key_value_heads * shape.head_dim] * 2
    parts = (inputs.queries, inputs.keys, inputs.values)
    if [part.shape[1] for part in parts] != widths or len({part.dtype for part in parts}) > 1:
        raise TypeError(f"attention: {[(part.shape, part.dtype) for part in parts]} for {shape}")
    rows, cu_seqlens = inputs.rows, inputs.cu_seqlens
    if cu_seqlens.dtype != torch.int32 or (rows is not None and rows.dtype != torch.int64):
        raise TypeError("attention: cu_seqlens must be int32 and rows int64")
    job = AttendJob(
        queries=_rows(inputs.queries),
        keys=_rows(inputs.keys),
        values=_rows(inputs.values),
        cu_seqlens=cu_seqlens.data_ptr(),
        rows=None if rows is None else rows.data_ptr(),
        num_seqs=cu_seqlens.shape[0] - 1,
        query_stride=inputs.queries.stride(0),
        key_stride=inputs.keys.stride(0),
        value_stride=inputs.values.stride(0),
        num_heads=shape.num_heads,
        num_key_value_heads=shape.num_key_value_heads,
        head_dim=shape.head_dim,
        window=-1 if shape.window is None else shape.window,
        is_causal=shape.is_causal,
        scale=shape.scale * math.log2(math.e),
    )
    if inputs.packed is not None:
        job.packed_keys, job.packed_values = (part.data_ptr() for part in inputs.packed)
    return job


def _rows(matrix: Tensor) -> int:
    if matrix.ndim != 2 or matrix.stride(1) != 1:
        raise TypeError(f"kernel: got strides {matrix.stride()}, expected contiguous rows")
    return matrix.data_ptr()


def _matrix(matrix: Tensor | None, like: Tensor) -> int | None:
    if matrix is None:
        return None
    if matrix.dtype != torch.float32 or matrix.shape != like.shape or not matrix.is_contiguous():
        raise TypeError(f"kernel: got {matrix.shape} {matrix.dtype}, expected {like.shape} float32")
    return matrix.data_ptr()


def _vector(vector: Tensor | None, size: int) -> int | None:
    if vector is None:
        return None
    if vector.dtype != torch.float32 or vector.numel() != size or not vector.is_contiguous():
        raise TypeError(f"kernel: got {vector.shape} {vector.dtype}, expected {size} float32")
    return vector.data_ptr()


def _code_scale(encoded: EncodedRows, rows: int) -> int | None:
    if (encoded.values.dtype == torch.uint8) != (encoded.scale is not None):
        raise TypeError("kernel: 8-bit rows, and only they, have scales")
    return _vector(encoded.scale, rows)
