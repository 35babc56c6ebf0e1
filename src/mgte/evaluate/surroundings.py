"""What numbers were measured with: versions of packages, and the machine. Loads no torch."""

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = (
    "mgte",
    "torch",
    "numpy",
    "tokenizers",
    "safetensors",
    "openvino",
    "pytrec-eval-terrier",
    "bm25s",
    "scikit-learn",
    "scipy",
    "seqeval",
    "mteb",
    "sentence-transformers",
    "transformers",
)
_GIB = 2**30


def package_versions() -> dict[str, str]:
    """Python, and those of the packages behind our numbers that are installed.

    Returns:
        Name to version.
    """
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine_facts(device: str = "cpu") -> dict[str, Any]:
    """Processor, cores, memory and device.

    Args:
        device: Where the model runs, such as "cpu" or "cuda:0".

    Returns:
        Fact to value; what the system does not tell is left out.
    """
    facts: dict[str, Any] = {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": _cores(),
        "device": _device(device),
    }
    memory = _memory()
    return facts | ({"memory_gib": round(memory / _GIB, 1)} if memory else {})


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text("utf-8", "replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _cores() -> int:
    if platform.system() == "Linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return 0


def _device(device: str) -> str:
    # Whoever runs on a GPU has loaded torch already.
    torch = sys.modules.get("torch")
    if device.startswith("cuda") and torch is not None:
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return device
