"""How fast oneDNN's prepared products alone are: the ceiling that a whole encoder is held against.

The four products of one layer, tiles of 512 rows, weights laid out as the runtime lays them out,
all workers at once, each with rows of its own. Nothing else runs in between.
"""

import argparse
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import torch

from mgte.inference import available_cores
from mgte.inference.runtimes.prepared_linear import CpuDtype, PreparedLinear, prepare_linear
from mgte.kernels import EncodedRows

ROWS = 512


def layer_products(hidden_size: int, intermediate_size: int) -> list[tuple[int, int]]:
    """(outputs, inputs) of the products of one gated layer with as many key as query heads."""
    size, inner = hidden_size, intermediate_size
    return [(3 * size, size), (size, size), (2 * inner, size), (size, inner)]


def gemm_ceiling(
    dtype: CpuDtype,
    *,
    hidden_size: int = 768,
    intermediate_size: int = 3072,
    num_workers: int | None = None,
    repeats: int = 15,
) -> float:
    """Throughput of the products alone.

    Args:
        dtype: "float32", "bfloat16" or "int8".
        hidden_size: Width of the hidden states.
        intermediate_size: Inner width of the gated MLP.
        num_workers: Single-threaded workers; None means one per available core.
        repeats: Passes over the layer; the fastest counts, as for a ceiling it should.

    Returns:
        GFLOP/s (for int8: 10^9 operations per second) of all workers together.
    """
    workers = num_workers or available_cores()
    shapes = layer_products(hidden_size, intermediate_size)
    layers = [prepare_linear(torch.randn(n, k) * 0.02, None, dtype) for n, k in shapes]
    barrier = threading.Barrier(workers)

    def work() -> float:
        torch.set_num_threads(1)
        inputs = [_rows(width, dtype) for _, width in shapes]
        seconds = [_one_pass(layers, inputs, barrier) for _ in range(repeats)]
        return min(seconds)

    default = torch.get_num_threads()
    with ThreadPoolExecutor(workers) as pool:
        slowest = max(future.result() for future in [pool.submit(work) for _ in range(workers)])
    torch.set_num_threads(default)
    operations = sum(2 * ROWS * n * k for n, k in shapes) * workers
    return operations / slowest / 1e9


def _one_pass(
    layers: list[PreparedLinear], inputs: list[EncodedRows], barrier: threading.Barrier
) -> float:
    barrier.wait()
    begin = time.perf_counter()
    with torch.inference_mode():
        for layer, rows in zip(layers, inputs, strict=True):
            layer(rows, ROWS)
    return time.perf_counter() - begin


def _rows(width: int, dtype: CpuDtype) -> EncodedRows:
    if dtype == "int8":
        codes = torch.randint(0, 256, (ROWS, width), dtype=torch.uint8)
        return EncodedRows(values=codes, scale=torch.ones(ROWS))
    return EncodedRows(values=torch.randn(ROWS, width).to(getattr(torch, dtype)))


def main() -> None:
    """Print the ceilings of this machine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16", "int8"])
    parser.add_argument("--workers", type=int, default=None)
    arguments = parser.parse_args()
    for dtype in arguments.dtypes:
        print(f"{dtype:10} {gemm_ceiling(dtype, num_workers=arguments.workers):8.0f} GFLOP/s")


if __name__ == "__main__":
    main()
