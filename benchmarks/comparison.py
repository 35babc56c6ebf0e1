"""How one engine compares with others in a cell, and what the project set itself as targets."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from measure import ratio
from peers import BATCH_SIZE

# How many times faster than the best padded engine and than tuned OpenVINO we want to be.
BATCHED_TARGETS = {"W1": 1.4, "W2": 1.2, "W3": 3.0, "W4": 1.0, "W5": 1.35}
TUNED_TARGETS = {"W1": 1.4, "W2": 1.0, "W3": 1.0, "W4": 1.0, "W5": 1.0}
CEILING_TARGETS = {"fp32": 0.9, "bf16": 0.85, "int8": 0.75}
LEAST_COSINE = 0.999

_HIDDEN, _INNER = 768, 3072


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """We against the fastest of some peers.

    Attributes:
        peer: Its name.
        times: Median, smallest and largest over the rounds.
    """

    peer: str
    times: tuple[float, float, float]

    @property
    def text(self) -> str:
        """Median and range."""
        median, smallest, largest = self.times
        return f"{median:.2f} ({smallest:.2f} to {largest:.2f})"

    def mark(self, target: float) -> str:
        """Whether the median reaches the target, or by how much it misses."""
        median = self.times[0]
        return "yes" if median >= target else f"{median / target - 1:+.0%}"


def speed(cell: dict[str, Any], engine: str) -> float:
    """Tokens per second, median over the rounds."""
    return float(cell["num_tokens"] / np.median(cell["engines"][engine]["seconds"]))


def padding_factor(cell: dict[str, Any]) -> float:
    """How many tokens engines with sorted padded batches compute per real token."""
    lengths: list[int] = sorted(cell["lengths"], reverse=True)
    batches = [lengths[start : start + BATCH_SIZE] for start in range(0, len(lengths), BATCH_SIZE)]
    return sum(batch[0] * len(batch) for batch in batches) / sum(lengths)


def batched_peers(cell: dict[str, Any]) -> list[str]:
    """Engines that run sorted padded batches."""
    return _admitted(cell, ("transformers", "onnxruntime", "openvino padded"))


def tuned_peers(cell: dict[str, Any]) -> list[str]:
    """OpenVINO, unpadded. One document has no second stream to run in: there padded is tuned."""
    starts = (
        ("openvino tuned", "openvino padded") if cell["num_sequences"] == 1 else ("openvino t",)
    )
    return _admitted(cell, starts)


def _admitted(cell: dict[str, Any], starts: tuple[str, ...]) -> list[str]:
    return [
        name
        for name, result in cell["engines"].items()
        if name.startswith(starts)
        and (result["cosine"] is None or result["cosine"] >= LEAST_COSINE)
    ]


def compare(cell: dict[str, Any], ours: str, peers: Iterable[str]) -> Comparison | None:
    """We against the fastest of the peers; None if either side was not measured."""
    engines = cell["engines"]
    there = [peer for peer in peers if peer in engines]
    if ours not in engines or not there:
        return None
    best = min(there, key=lambda peer: float(np.median(engines[peer]["seconds"])))
    return Comparison(peer=best, times=ratio(engines[ours], engines[best]))


def ceiling_fraction(cell: dict[str, Any], engine: str) -> tuple[float, float, float]:
    """An engine of the gte-base shape beside the cell's ceiling.

    Returns:
        GFLOP/s that were done; their fraction of the ceiling; and the fraction by the operations
        of the whole model, which counts work that is left out because nobody reads its result.
    """
    seconds = float(np.median(cell["engines"][engine]["seconds"]))
    ceiling = cell["ceiling_gflops"] * seconds * 1e9
    done = sum(_operations(length, cell["num_layers"]) for length in cell["lengths"])
    whole = sum(
        _operations(length, cell["num_layers"], last_rows=length) for length in cell["lengths"]
    )
    return done / seconds / 1e9, done / ceiling, whole / ceiling


def _operations(length: int, num_layers: int, last_rows: int = 1) -> float:
    """Products and attention of one sequence.

    The last layer computes keys and values of all tokens, everything else of `last_rows`.
    """
    key_value = 2 * _HIDDEN * 2 * _HIDDEN
    rest = 2 * _HIDDEN * (2 * _HIDDEN + 3 * _INNER)
    attention = 4 * _HIDDEN * length
    full = (num_layers - 1) * length * (key_value + rest + attention)
    return full + length * key_value + last_rows * (rest + attention)
