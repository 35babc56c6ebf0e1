"""`python -m mgte.evaluate.efficiency.memory_child`: one engine, its memory as JSON.

Reads an order of `memory.measure_memory` from standard input.
"""

import json
import sys
from pathlib import Path

import torch

from mgte.evaluate.efficiency.engines import build_engine
from mgte.inference import Embedder

_STATUS = Path("/proc/self/status")


def resident_bytes(name: str = "VmRSS") -> int:
    """Resident memory of this process, or its largest so far (`VmHWM`).

    Where the kernel keeps no such file, the largest so far stands for both.
    """
    if _STATUS.exists():
        # `getrusage` of a child starts from the size of its parent; the kernel's mark does not.
        return 1024 * int(_STATUS.read_text().split(f"{name}:", 1)[1].split()[0])
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts bytes, others kilobytes.
    return peak if sys.platform == "darwin" else 1024 * peak


def main() -> None:
    """Load, encode, tell."""
    order = json.load(sys.stdin)
    embedder = Embedder.load(
        order["folder"],
        device=order["device"],
        dtype=order["dtype"],
        backend=order["backend"],
        max_length=order["max_length"],
    )
    engine = build_engine(order["engine"], embedder, Path(order["folder"]), order["batch_size"])
    is_cuda = order["device"].startswith("cuda")
    loaded = resident_bytes()
    if is_cuda:
        torch.cuda.reset_peak_memory_stats()
    engine(order["texts"])
    told = {
        "loaded_bytes": loaded,
        "peak_bytes": resident_bytes("VmHWM"),
        "device_bytes": int(torch.cuda.max_memory_allocated()) if is_cuda else 0,
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
