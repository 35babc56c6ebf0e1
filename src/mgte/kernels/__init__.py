"""The work between two matrix products on a CPU: our own compiled kernels, or PyTorch.

Attention over packed sequences, rotary positions, residual + norm, gated activation, 8-bit rows.
The compiled kernels are optional; `TorchKernels` computes the same everywhere.
"""

from mgte.kernels.loader import is_available, load_library
from mgte.kernels.native_calls import NativeKernels
from mgte.kernels.records import (
    ActivationName,
    AttentionInput,
    AttentionShape,
    EncodedRows,
    KernelSet,
    NormWeights,
    Projection,
    Rotation,
)
from mgte.kernels.torch_calls import TorchKernels


def best_kernels() -> KernelSet:
    """The compiled kernels where they run, else PyTorch's."""
    return NativeKernels() if is_available() else TorchKernels()


__all__ = [
    "ActivationName",
    "AttentionInput",
    "AttentionShape",
    "EncodedRows",
    "KernelSet",
    "NativeKernels",
    "NormWeights",
    "Projection",
    "Rotation",
    "TorchKernels",
    "best_kernels",
    "is_available",
    "load_library",
]
