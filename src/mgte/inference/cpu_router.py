"""Which CPU runtime takes which lengths: what `backend="auto"` means, in one place."""

from collections.abc import Callable
from typing import Literal

from torch import Tensor

from mgte.inference.routing import Router, SingleRuntime
from mgte.model import EncoderConfig

CpuDtype = Literal["float32", "bfloat16", "int8"]
Weights = dict[str, Tensor]


def build_cpu_router(
    config: EncoderConfig,
    weights: Weights,
    reload: Callable[[], Weights],
    *,
    dtype: CpuDtype,
    backend: str,
    num_workers: int,
) -> Router:
    """Runtimes of a CPU by backend; with "auto" the one that is faster at each length.

    Args:
        config: The encoder's settings.
        weights: The encoder's tensors; taken over.
        reload: Reads them once more, for a second runtime.
        dtype: "float32", "bfloat16" or "int8".
        backend: "auto", "torch" or "openvino".
        num_workers: Threads that run batches at the same time.

    Returns:
        The router.

    Raises:
        BackendUnavailableError: The backend is not installed, or the CPU lacks the dtype.
    """
    # Imported when needed: a start with one runtime should not pay for the other.
    if backend == "openvino":
        from mgte.inference.runtimes.openvino import OpenVinoRuntime

        return SingleRuntime(OpenVinoRuntime(config, weights, dtype=dtype, num_workers=num_workers))
    from mgte.inference.runtimes.torch_cpu import TorchCpuRuntime

    return SingleRuntime(TorchCpuRuntime(config, weights, dtype=dtype))
