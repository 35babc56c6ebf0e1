"""One cell of the benchmark: engines interleaved on the same sequences.

1. an untimed run of each engine (graph compilation, caches), on everything or, where that takes
long, on a part; 2. rounds in which every engine runs once, until the cell's time is used up.
"""

import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from peers import Vectors

# ONNX Runtime's threads spin for a while after a run; they should not take the next one's cores.
_PAUSE = 0.05


class Timed(Protocol):
    """An engine on token ids or on texts."""

    name: str

    def encode(self, inputs: Any, /) -> Vectors:
        """One vector per input."""
        ...


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How long a cell may take.

    Attributes:
        seconds: Time of all rounds together; the first round is always whole.
        max_rounds: Rounds at most.
    """

    seconds: float
    max_rounds: int


def measure_cell(
    engines: Sequence[Timed],
    inputs: Sequence[Any],
    effort: Effort,
    *,
    warm_up: Sequence[Any],
    reference: Vectors | None,
) -> dict[str, Any]:
    """Time all engines on the same inputs.

    Args:
        engines: What is compared.
        inputs: Token ids or texts.
        effort: How long it may take.
        warm_up: Inputs of the untimed run.
        reference: Float32 vectors for the cosine; None where an engine gives no vectors.

    Returns:
        Per engine: `seconds` of each round, and `cosine`, the smallest over all sequences.
    """
    results: dict[str, dict[str, Any]] = {}
    for engine in engines:
        engine.encode(warm_up)
        results[engine.name] = {"seconds": [], "cosine": None}
    start = time.perf_counter()
    for number in range(effort.max_rounds):
        # Every second round runs backwards, so that no engine always follows the same other one.
        for engine in engines[:: -1 if number % 2 else 1]:
            gc.collect()
            time.sleep(_PAUSE)
            began = time.perf_counter()
            vectors = engine.encode(inputs)
            results[engine.name]["seconds"].append(time.perf_counter() - began)
            results[engine.name]["cosine"] = smallest_cosine(vectors, reference)
        if time.perf_counter() - start > effort.seconds:
            break
    return results


def smallest_cosine(vectors: Vectors, reference: Vectors | None) -> float | None:
    """The worst text's cosine to the reference; None where there is nothing to compare."""
    if reference is None or vectors.shape != reference.shape:
        return None
    norms = np.linalg.norm(vectors, axis=1) * np.linalg.norm(reference, axis=1)
    return float(((vectors * reference).sum(1) / norms).min())


def ratio(ours: dict[str, Any], other: dict[str, Any]) -> tuple[float, float, float]:
    """How many times faster we are: median, smallest, largest over the rounds."""
    rounds: NDArray[np.float64] = np.array(other["seconds"]) / np.array(ours["seconds"])
    return float(np.median(rounds)), float(rounds.min()), float(rounds.max())
