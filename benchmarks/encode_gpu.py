"""Packed batches on a GPU beside transformers' padded ones: same weights, same token ids.

    python benchmarks/encode_gpu.py                                # W2, W3, W4 on cuda in bfloat16
    python benchmarks/encode_gpu.py --device cpu --layers 2 --max-tokens 2048    # a rehearsal

Prints, and keeps as JSON, real tokens per second of every engine (medians of interleaved rounds),
the fraction of the measured matrix-product peak, and the worst cosine to float32 one by one.
Flash attention of transformers is measured where its package is installed.
"""

import argparse
import importlib.util
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from checkpoints import SHAPES, make_checkpoint
from machine import describe_machine
from workloads import build_workload

import mgte

REPOSITORY = Path(__file__).parents[1]
_PEER_BATCH = 32
_ROUNDS = 5
Ids = list[list[int]]
Encode = Callable[[Ids], "np.ndarray[Any, np.dtype[np.float32]]"]


def peer(folder: Path, device: str, dtype: torch.dtype, attention: str) -> Encode:
    """Transformers as sentence-transformers batches: sorted by length, padded, 32 at a time."""
    model = transformers.AutoModel.from_pretrained(
        folder, dtype=dtype, attn_implementation=attention
    )
    model = model.to(device).eval()

    def encode(sequences: Ids) -> "np.ndarray[Any, np.dtype[np.float32]]":
        order = sorted(range(len(sequences)), key=lambda index: -len(sequences[index]))
        vectors = np.empty((len(sequences), model.config.hidden_size), np.float32)
        for start in range(0, len(order), _PEER_BATCH):
            chosen = order[start : start + _PEER_BATCH]
            longest = len(sequences[chosen[0]])
            ids = torch.zeros(len(chosen), longest, dtype=torch.int64)
            mask = torch.zeros_like(ids)
            for row, index in enumerate(chosen):
                length = len(sequences[index])
                ids[row, :length] = torch.tensor(sequences[index])
                mask[row, :length] = 1
            with torch.inference_mode():
                states = model(ids.to(device), attention_mask=mask.to(device)).last_hidden_state
            vectors[chosen] = states[:, 0].float().cpu().numpy()
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    return encode


def ours(folder: Path, device: str, dtype: str) -> Encode:
    """The packed path."""
    embedder = mgte.Embedder.load(str(folder), device=device, dtype=dtype)
    return lambda sequences: embedder.encode_ids(sequences).dense  # type: ignore[return-value]


def product_peak(device: str, dtype: torch.dtype) -> float:
    """TFLOP/s of large matrix products on this device, best of several."""
    size = 8192 if device.startswith("cuda") else 1024
    a = torch.randn(size, size, device=device, dtype=dtype)
    best = 0.0
    for _ in range(8):
        began = _now(device)
        a @ a
        best = max(best, 2 * size**3 / (_now(device) - began) / 1e12)
    return best


def _now(device: str) -> float:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


def operations(lengths: list[int], config: Any) -> float:
    """Multiply-adds times two of linear layers and attention, for real tokens."""
    hidden, inner = config.hidden_size, config.intermediate_size
    linear = 2 * (4 * hidden**2 + 3 * hidden * inner)
    per_layer = sum(length * (linear + 4 * length * hidden) for length in lengths)
    return float(per_layer * config.num_hidden_layers)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float32"])
    parser.add_argument("--layers", type=int, default=SHAPES["gte-base"].num_layers)
    parser.add_argument("--max-tokens", type=int, default=8192)
    parser.add_argument("--copies", type=int, default=16, help="times each workload is repeated")
    parser.add_argument("--out", type=Path, default=None, help="JSON file")
    flags = parser.parse_args()
    dtype = getattr(torch, flags.dtype)
    made = make_checkpoint(
        SHAPES["gte-base"], REPOSITORY / "runs" / "bench", num_layers=flags.layers
    )
    engines = {"mgte": ours(made.encoder, flags.device, flags.dtype)}
    attentions = ["sdpa"]
    if importlib.util.find_spec("flash_attn") is not None:
        attentions.append("flash_attention_2")
    for attention in attentions:
        engines[f"transformers {attention}"] = peer(made.encoder, flags.device, dtype, attention)
    exact = ours(made.encoder, flags.device, "float32")
    report: dict[str, Any] = {
        "machine": describe_machine(),
        "device": torch.cuda.get_device_name() if flags.device.startswith("cuda") else flags.device,
        "peak_tflops": product_peak(flags.device, dtype),
        "workloads": {},
    }
    config = made.load_config()
    for name in ("W2", "W3", "W4"):
        workload = build_workload(
            name, vocab_size=config.vocab_size, max_tokens=flags.max_tokens, quick=False
        )
        sequences = workload.sequences * flags.copies
        report["workloads"][name] = measure(engines, exact, sequences, flags.device)
        work = operations(workload.lengths, config) * flags.copies
        for engine, entry in report["workloads"][name].items():
            entry["fraction_of_peak"] = work / entry["seconds"] / 1e12 / report["peak_tflops"]
            print(name, engine, json.dumps({k: round(v, 5) for k, v in entry.items()}), flush=True)
    if flags.out is not None:
        flags.out.write_text(json.dumps(report, indent=1) + "\n")


def measure(
    engines: dict[str, Encode], exact: Encode, sequences: Ids, device: str
) -> dict[str, dict[str, float]]:
    """Interleaved rounds; median seconds, tokens per second, worst cosine."""
    expected = np.concatenate([exact([sequence]) for sequence in sequences])
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    cosines = {
        name: float((run(sequences) * expected).sum(1).min()) for name, run in engines.items()
    }
    for _ in range(_ROUNDS):
        for name, run in engines.items():
            began = _now(device)
            run(sequences)
            seconds[name].append(_now(device) - began)
    total = sum(map(len, sequences))
    return {
        name: {
            "seconds": float(np.median(times)),
            "tokens_per_second": total / float(np.median(times)),
            "cosine": cosines[name],
        }
        for name, times in seconds.items()
    }


if __name__ == "__main__":
    main()
