"""Peak memory of one engine, in a process of its own: nothing else has grown in it before."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from mgte.errors import BackendUnavailableError
from mgte.evaluate.efficiency.engines import EngineName
from mgte.evaluate.subjects.own_models import EmbedderSubject

_MODULE = "mgte.evaluate.efficiency.memory_child"
_TIMEOUT_S = 1800.0


@dataclass(frozen=True, kw_only=True, slots=True)
class PeakMemory:
    """Memory of one engine.

    Attributes:
        loaded_bytes: Resident memory with the model loaded, before any text.
        peak_bytes: Largest resident memory, the model included.
        device_bytes: Largest memory allocated on the GPU; 0 without one.
    """

    loaded_bytes: int
    peak_bytes: int
    device_bytes: int

    @property
    def gigabytes(self) -> float:
        """The peak where the model runs, in units of 10^9 bytes."""
        return (self.device_bytes or self.peak_bytes) / 1e9


def measure_memory(
    subject: EmbedderSubject, engine: EngineName, texts: Sequence[str], batch_size: int
) -> PeakMemory:
    """Encode texts in a new process, and ask how much memory it has had.

    Args:
        subject: Our model; the process loads its folder anew, placed alike.
        engine: Which way of encoding.
        texts: The texts.
        batch_size: Texts of one batch, for engines that fill texts up.

    Returns:
        Its memory.

    Raises:
        BackendUnavailableError: The process failed, such as for lack of memory.
    """
    placement = subject.embedder.prepared.placement
    order = {
        "folder": str(subject.folder),
        "device": str(placement.device),
        "dtype": placement.dtype,
        "backend": placement.backend,
        "max_length": subject.embedder.max_length,
        "engine": engine,
        "batch_size": batch_size,
        "texts": list(texts),
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", _MODULE],
            input=json.dumps(order),
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        raise BackendUnavailableError(
            f"memory of {engine}: got no answer in {_TIMEOUT_S:.0f} s, expected one"
        ) from None
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise BackendUnavailableError(
            f"memory of {engine}: the process ended with {done.returncode} ({lines[-1][:120]})"
        )
    return PeakMemory(**json.loads(done.stdout.splitlines()[-1]))
