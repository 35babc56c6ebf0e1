"""Interleaved rounds of training steps, and the peak memory of one engine."""

import gc
import time
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from peak_memory import peak_kilobytes

_LOSS_TOLERANCE = {"fp32": 2e-4, "bf16": 2e-2}


class Stepper(Protocol):
    """An engine that trains."""

    name: str

    def loss(self, batch: Any, /) -> float:
        """Mean loss of a batch without dropout."""
        ...

    def step(self, batch: Any, /) -> Any:
        """One step."""
        ...


def measure_steps(
    engines: Sequence[Stepper],
    batches: Sequence[Any],
    *,
    rounds: int,
    precision: str,
    device: str,
) -> dict[str, Any]:
    """Time all engines on the same batches.

    First every engine's loss on the first batch is compared: engines that do not compute the same
    thing are not timed. Then each takes one untimed step, then rounds follow in which every engine
    takes a step on each batch; every second round runs backwards.

    Args:
        engines: What is compared; all start from the same weights.
        batches: What is trained on.
        rounds: Rounds.
        precision: "fp32" or "bf16", for the tolerance of the comparison.
        device: "cpu" or "cuda".

    Returns:
        Per engine: `seconds` of each round, and `loss`, the first batch's loss.
    """
    results: dict[str, dict[str, Any]] = {
        engine.name: {"seconds": [], "loss": engine.loss(batches[0])} for engine in engines
    }
    losses = [result["loss"] for result in results.values()]
    if not np.allclose(losses, losses[0], rtol=_LOSS_TOLERANCE[precision]):
        raise RuntimeError(f"engines disagree on the loss: {results}")
    for engine in engines:
        engine.step(batches[0])
    for number in range(rounds):
        for engine in engines[:: -1 if number % 2 else 1]:
            gc.collect()
            began = now(device)
            for batch in batches:
                engine.step(batch)
            results[engine.name]["seconds"].append(now(device) - began)
    return results


def peak_memory(engine: Stepper, batches: Sequence[Any], device: str) -> dict[str, float]:
    """Memory of training on some batches, in a process that does nothing else.

    Returns:
        `peak_gb`: the largest resident memory (of the GPU: allocated), weights and optimizer
        included.
    """
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    for batch in batches:
        engine.step(batch)
    if device.startswith("cuda"):
        return {"peak_gb": torch.cuda.max_memory_allocated() / 1e9}
    return {"peak_gb": peak_kilobytes() * 1024 / 1e9}


def ratio(other: dict[str, Any], ours: dict[str, Any]) -> tuple[float, float, float]:
    """How many times faster we are: median, smallest, largest over the rounds."""
    rounds = np.array(other["seconds"]) / np.array(ours["seconds"])
    return float(np.median(rounds)), float(rounds.min()), float(rounds.max())


def now(device: str) -> float:
    """Seconds, after all work that was launched is done."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


def training_operations(
    lengths: Sequence[int], config: dict[str, int], *, num_scored: int = 0
) -> float:
    """Floating-point operations of forward and backward over real tokens.

    Args:
        lengths: Tokens of each sequence.
        config: `hidden`, `inner`, `layers` and `vocabulary` of the model.
        num_scored: Rows that go through the prediction head.

    Returns:
        Three times the forward pass: twice the multiply-adds of linear layers, attention, head.
    """
    hidden, inner = config["hidden"], config["inner"]
    linear = 2 * (4 * hidden**2 + 3 * hidden * inner)
    layers = sum(length * (linear + 4 * length * hidden) for length in lengths) * config["layers"]
    head = 2 * num_scored * hidden * (hidden + config["vocabulary"])
    return 3.0 * (layers + head)
