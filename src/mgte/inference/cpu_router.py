"""Which CPU runtime takes which lengths: what `backend="auto"` means, in one place.

With our compiled kernels the torch runtime was the fastest at every length and dtype that
`benchmarks/encode.py` measures, so it takes everything. Without them PyTorch's own attention is
what runs between the products, and OpenVINO, if it is installed, is faster from passages on.
"""

from collections.abc import Callable
from typing import Literal

from torch import Tensor

from mgte.inference.routing import ByLength, Router, SingleRuntime
from mgte.model import EncoderConfig

CpuDtype = Literal["float32", "bfloat16", "int8"]
Weights = dict[str, Tensor]

# Without compiled kernels: sequences of at least so many tokens go to OpenVINO.
_OPENVINO_FROM_TOKENS = 256


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

    runtime = TorchCpuRuntime(config, weights, dtype=dtype)
    if backend == "torch" or runtime.kernels.name == "native":
        return SingleRuntime(runtime)
    from mgte.inference.runtimes.openvino import OpenVinoRuntime, unsupported

    if unsupported(config, dtype) is not None:
        return SingleRuntime(runtime)
    return ByLength(
        runtime,
        lambda: OpenVinoRuntime(config, reload(), dtype=dtype, num_workers=num_workers),
        long_tokens=_OPENVINO_FROM_TOKENS,
    )
