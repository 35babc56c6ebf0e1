"""The C structs of the compiled kernels, field for field (see native/*.c)."""

import ctypes

KIND_FLOAT32, KIND_BFLOAT16, KIND_UINT8 = 0, 1, 2
ACTIVATIONS = {"gelu": 0, "gelu_tanh": 1, "silu": 2, "relu": 3}

_Pointer = ctypes.c_void_p
_Int = ctypes.c_int64


def _fields(pointers: str, integers: str) -> list[tuple[str, type]]:
    return [
        *((name, _Pointer) for name in pointers.split()),
        *((name, _Int) for name in integers.split()),
    ]


class AttendJob(ctypes.Structure):
    """attend_job of attention_job.h."""

    _fields_ = [  # ctypes reads it once, at class creation
        *_fields(
            "queries keys values output packed_keys packed_values scratch cu_seqlens rows",
            "num_seqs row_begin row_end query_stride key_stride value_stride output_stride "
            "num_heads num_key_value_heads head_dim window is_causal",
        ),
        ("scale", ctypes.c_float),
    ]


class RotateJob(ctypes.Structure):
    """rotate_job of rotate.c."""

    _fields_ = _fields(
        "source target row_scale bias cosines sines positions query_scale",
        "rows columns source_stride target_stride num_rotated_heads num_scaled_heads head_dim kind",
    )


class NormJob(ctypes.Structure):
    """norm_job of norm.c."""

    _fields_ = [  # ctypes reads it once, at class creation
        *_fields(
            "values row_scale value_bias residual sum normed encoded encoded_scale weight bias",
            "rows width value_stride residual_stride encoded_stride value_kind encoded_kind is_rms",
        ),
        ("epsilon", ctypes.c_float),
    ]


class ActivateJob(ctypes.Structure):
    """activate_job of activation.c."""

    _fields_ = _fields(
        "values row_scale bias target target_scale room",
        "rows width value_stride target_stride value_kind target_kind act is_gated",
    )
