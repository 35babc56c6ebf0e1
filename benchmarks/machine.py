"""What the numbers were measured on."""

import importlib.metadata
import platform
from pathlib import Path
from typing import Any

from mgte.inference.cores import available_cores

_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
_PACKAGES = (
    "torch",
    "transformers",
    "sentence-transformers",
    "onnxruntime",
    "openvino",
    "nncf",
    "numpy",
)


def describe_machine() -> dict[str, Any]:
    """CPU, its instruction sets, usable cores, memory, and versions."""
    info = _cpu_info()
    flags = info.get("flags", "").split()
    return {
        "cpu": info.get("model name", platform.processor()),
        "family": f"{info.get('cpu family', '?')}/{info.get('model', '?')}",
        "flags": [flag for flag in _FLAGS if flag in flags],
        "cores": available_cores(),
        "memory_gb": _memory_gb(),
        "python": platform.python_version(),
        "system": platform.system(),
        "versions": {name: _version(name) for name in _PACKAGES},
    }


def _cpu_info() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    first = path.read_text().split("\n\n", 1)[0]
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _memory_gb() -> float | None:
    path = Path("/proc/meminfo")
    if not path.exists():
        return None
    kilobytes = int(path.read_text().split("MemTotal:", 1)[1].split()[0])
    return round(kilobytes / 1024**2, 1)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
