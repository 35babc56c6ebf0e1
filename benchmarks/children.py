"""Measurements that need a process of their own: peak memory, and start to the first vector.

Run as a script it is the child: `children.py memory FOLDER DTYPE`, `children.py start ENGINE
FOLDER`.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from peak_memory import peak_kilobytes

_ROUNDS = 5
_TEXT = "how are tides made"


def peak_memory(folder: Path, dtype: str) -> dict[str, float]:
    """Encode one document of 8,192 tokens in a fresh process.

    Returns:
        `peak_gb`, the largest resident memory of the process, and `seconds` of the encoding.
    """
    out = subprocess.run(
        [sys.executable, __file__, "memory", str(folder), dtype],
        check=True,
        capture_output=True,
        text=True,
    )
    result: dict[str, float] = json.loads(out.stdout.splitlines()[-1])
    return result


def start_up(folder: Path) -> dict[str, list[float]]:
    """Seconds from starting Python to the first vector, for us and for sentence-transformers."""
    seconds: dict[str, list[float]] = {"mgte": [], "sentence-transformers": []}
    for number in range(_ROUNDS + 1):
        for engine, measured in seconds.items():
            began = time.perf_counter()
            # The child leaves without tidying up, as soon as it has the vector.
            subprocess.run(
                [sys.executable, __file__, "start", engine, str(folder)],
                check=True,
                capture_output=True,
            )
            # The first round fills the file cache.
            if number:
                measured.append(time.perf_counter() - began)
    return seconds


def _memory_child(folder: str, dtype: str) -> None:
    import mgte

    embedder = mgte.Embedder.load(folder, device="cpu", dtype=dtype)
    ids = np.random.default_rng(0).integers(1000, 20_000, 8192).tolist()
    began = time.perf_counter()
    embedder.encode_ids([ids], show_progress=False)
    seconds = time.perf_counter() - began
    print(json.dumps({"peak_gb": peak_kilobytes() * 1024 / 1e9, "seconds": seconds}))


def _start_child(engine: str, folder: str) -> None:
    import os

    vectors: Any
    if engine == "mgte":
        import mgte

        vectors = mgte.Embedder.load(folder, device="cpu", dtype="float32").encode([_TEXT]).dense
    else:
        from sentence_transformers import SentenceTransformer

        vectors = SentenceTransformer(folder, device="cpu").encode([_TEXT])
    os._exit(0 if np.isfinite(vectors).all() else 1)


if __name__ == "__main__":
    {"memory": _memory_child, "start": _start_child}[sys.argv[1]](*sys.argv[2:])
