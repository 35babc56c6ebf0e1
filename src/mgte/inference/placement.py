"""Where and in which numbers a model runs: device, dtype, backend, and what "auto" means."""

import platform
from dataclasses import dataclass
from typing import Literal

import torch

from mgte.errors import BackendUnavailableError, ConfigError
from mgte.inference.cpu_router import CpuDtype
from mgte.inference.requests import LoadOptions

Dtype = Literal["float32", "bfloat16", "float16", "int8"]
DTYPES: tuple[Dtype, ...] = ("float32", "bfloat16", "float16", "int8")
BACKENDS = ("torch", "openvino", "torch-eager")


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """What was chosen, with nothing left to "auto" but the backend of a CPU.

    Attributes:
        device: Device of the computation.
        dtype: "float32", "bfloat16", "float16" or "int8".
        backend: "auto" (by length, CPU only), "torch", "openvino" or "torch-eager".
    """

    device: torch.device
    dtype: Dtype
    backend: str

    @property
    def cpu_dtype(self) -> CpuDtype:
        """The dtype as CPU runtimes spell it; `choose_placement` lets no other pass."""
        if self.dtype == "bfloat16" or self.dtype == "int8":
            return self.dtype
        return "float32"

    @property
    def weight_dtype(self) -> torch.dtype:
        """Dtype in which weights are loaded; CPU runtimes convert from float32 themselves."""
        is_prepared = self.device.type == "cpu" and self.backend != "torch-eager"
        name = "float32" if is_prepared else self.dtype
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[
            name
        ]


def choose_placement(options: LoadOptions) -> Placement:
    """Resolve device, dtype and backend.

    Raises:
        ConfigError: A name is unknown, or the combination makes no sense.
        BackendUnavailableError: The device is not there.
    """
    device = _device(options.device)
    dtype = _dtype(options.dtype, device)
    backend = options.backend
    if backend not in ("auto", *BACKENDS):
        raise ConfigError(f"backend: got {backend!r}, expected one of auto, {', '.join(BACKENDS)}")
    if device.type != "cpu":
        if backend == "openvino":
            raise ConfigError(f"backend: openvino runs on cpu, not on {device.type}")
        backend = "torch-eager"
    if dtype == "int8" and backend == "torch-eager":
        raise ConfigError(
            f"dtype: int8 runs on cpu with backend auto, torch or openvino, not {backend!r} "
            f"on {device.type}"
        )
    return Placement(device=device, dtype=dtype, backend=backend)


def _device(name: str) -> torch.device:
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        is_apple = platform.system() == "Darwin" and torch.backends.mps.is_available()
        return torch.device("mps" if is_apple else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise ConfigError(
            f"device: got {name!r}, expected auto, cpu, cuda, cuda:N or mps"
        ) from error
    if device.type not in ("cpu", "cuda", "mps"):
        raise ConfigError(f"device: got {name!r}, expected auto, cpu, cuda, cuda:N or mps")
    is_there = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }[device.type]
    if not is_there:
        raise BackendUnavailableError(f"device: {name!r} is not available here", hint="use cpu")
    return device


def _dtype(name: str, device: torch.device) -> Dtype:
    if name == "auto":
        if device.type != "cuda":
            return "float32"
        return "bfloat16" if torch.cuda.get_device_capability(device) >= (8, 0) else "float16"
    dtype = next((known for known in DTYPES if known == name), None)
    if dtype is None:
        raise ConfigError(f"dtype: got {name!r}, expected one of auto, {', '.join(DTYPES)}")
    if dtype == "float16" and device.type == "cpu":
        raise ConfigError(
            "dtype: float16 is emulated on a cpu, slower than float32 and less exact",
            hint="use bfloat16 or int8",
        )
    return dtype
