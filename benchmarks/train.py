"""Our training steps beside transformers': same weights, same texts, interleaved in one run.

Cells are KIND/BATCHES/PRECISION:

* `mlm/random/fp32`, `mlm/grouped/bf16`: a masked-LM step beside transformers' Trainer, on shuffled
  or on length-grouped batches;
* `head/30%/fp32`: the prediction head on all tokens beside the head on masked rows;
* `hybrid/negatives/fp32`: elastic dense and sparse contrastive losses beside a padded step.

Each is stored when it is done, and a later run does only what is missing:

    python benchmarks/train.py                       # everything, then the tables and the plot
    python benchmarks/train.py --only mlm fp32       # cells that match every word
    python benchmarks/train.py --quick               # a rehearsal of minutes; own results
    python benchmarks/train.py --device cuda         # on a GPU, with the fraction of its peak
    python benchmarks/train.py --report              # only the tables and the plot
"""

import argparse
import gc
import json
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from stored import Results
from train_data import (
    MASK_PROBABILITY,
    Rows,
    grouped_batches,
    hybrid_batches,
    mask,
    num_tokens,
    random_batches,
    read_rows,
)
from train_measure import Stepper, measure_steps, peak_memory, training_operations
from train_ours import HeadOnly, hybrid_step, masked_lm_step
from train_peers import PaddedHybrid, TrainerMaskedLM, attentions
from train_report import write_report

from mgte.data import MaskedBatch

REPOSITORY = Path(__file__).parents[1]
CELLS = tuple(
    f"{kind}/{precision}"
    for kind in ("mlm/random", "mlm/grouped", "head/30%", "hybrid/negatives")
    for precision in ("fp32", "bf16")
)
_HIDDEN, _INNER, _VOCABULARY = 768, 3072, 30_528
_DIMS = range(32, _HIDDEN + 1, 32)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the command line asked for.

    Attributes:
        device: "cpu" or "cuda".
        layers: Layers of the model.
        rows: Texts in a masked-LM batch.
        queries: Queries in a contrastive batch, with eight negatives each.
        max_length: Longest text in tokens.
        batches: Batches in one round.
        rounds: Rounds.
        texts: Texts that batches are drawn from.
        tokens_per_chunk: Most tokens in one pass of our model.
        folder: Where checkpoints are kept.
        shared: Folder with `data/`.
    """

    device: str
    layers: int
    rows: int
    queries: int
    max_length: int
    batches: int
    rounds: int
    texts: int
    tokens_per_chunk: int
    folder: Path
    shared: Path


def run_cell(settings: Settings, name: str) -> dict[str, Any]:
    """Measure one cell."""
    kind, batches_name, precision = name.split("/")
    build, batches, facts = _prepared(settings, kind, batches_name, precision)
    engines = [make() for make in build.values()]
    cell = facts | {
        "layers": settings.layers,
        "engines": measure_steps(
            engines, batches, rounds=settings.rounds, precision=precision, device=settings.device
        ),
    }
    del engines
    gc.collect()
    if kind != "head":
        for engine, result in cell["engines"].items():
            result |= _memory_of(name, engine)
    if settings.device.startswith("cuda"):
        from encode_gpu import product_peak

        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        cell["peak_tflops"] = product_peak(settings.device, dtype)
    return cell


def _prepared(
    settings: Settings, kind: str, batches_name: str, precision: str
) -> tuple[dict[str, Callable[[], Stepper]], Sequence[Any], dict[str, Any]]:
    """How each engine is made, the batches, and what they hold."""
    prepare = {"mlm": _masked_lm, "head": _head, "hybrid": _hybrid}[kind]
    return prepare(settings, batches_name, precision)


def _masked_lm(settings: Settings, batches_name: str, precision: str) -> Any:
    folder = checkpoint(settings, "GteForMaskedLM")
    rows = _rows(settings)
    compose = random_batches if batches_name == "random" else grouped_batches
    chosen = compose(rows, settings.rows, settings.batches)
    batches = [mask(batch, rows, seed) for seed, batch in enumerate(chosen)]
    device, chunk = settings.device, settings.tokens_per_chunk
    build: dict[str, Callable[[], Stepper]] = {
        "mgte packed": lambda: masked_lm_step(folder, precision, device, chunk)
    }
    for attention in attentions(device):
        build[f"Trainer {attention}"] = lambda a=attention: TrainerMaskedLM(
            folder, precision, device, a
        )
    if "Trainer flash_attention_2" in build and precision == "bf16":
        build["Trainer flattened flash_attention_2"] = lambda: TrainerMaskedLM(
            folder, precision, device, "flash_attention_2", flattened=True
        )
    lengths = [len(ids) for batch in chosen for ids in batch]
    num_scored = sum(len(labels) for batch in batches for labels in batch.labels)
    facts = {
        "lengths": lengths,
        "num_tokens": sum(lengths),
        "num_padded": sum(max(map(len, batch)) * len(batch) for batch in chosen),
        "operations": training_operations(lengths, _shape(settings), num_scored=num_scored),
    }
    return build, batches, facts


def _head(settings: Settings, _: str, precision: str) -> Any:
    folder = checkpoint(settings, "GteForMaskedLM")
    generator = torch.Generator().manual_seed(0)
    tokens = settings.rows * 256
    states = torch.randn(tokens, _HIDDEN, generator=generator)
    labels = torch.randint(1000, 30_000, (tokens,), generator=generator)
    labels[torch.rand(tokens, generator=generator) >= MASK_PROBABILITY] = -100
    build = {
        name: lambda only=only: HeadOnly(folder, precision, settings.device, masked_only=only)
        for name, only in (("masked rows", True), ("all rows", False))
    }
    facts = {"num_tokens": tokens, "num_scored": int((labels >= 0).sum())}
    return build, [(states, labels)], facts


def _hybrid(settings: Settings, _: str, precision: str) -> Any:
    folder = checkpoint(settings, "GteForTokenClassification")
    batches = hybrid_batches(
        settings.shared, queries_per_batch=settings.queries, negatives=8, count=settings.batches
    )
    device, chunk = settings.device, settings.tokens_per_chunk
    build: dict[str, Callable[[], Stepper]] = {
        "mgte packed": lambda: hybrid_step(folder, precision, device, chunk, _DIMS)
    }
    for attention in attentions(device):
        build[f"transformers padded {attention}"] = lambda a=attention: PaddedHybrid(
            folder, precision, device, a, _DIMS
        )
    sides = [side for batch in batches for side in (batch.queries, batch.documents)]
    lengths = [len(ids) for side in sides for ids in side]
    facts = {
        "lengths": lengths,
        "num_tokens": sum(lengths),
        "num_padded": sum(max(map(len, side)) * len(side) for side in sides),
        "operations": training_operations(lengths, _shape(settings)),
    }
    return build, batches, facts


def checkpoint(settings: Settings, kind: str) -> Path:
    """A folder of seeded random weights, saved by transformers, that both sides load."""
    folder = settings.folder / f"{kind}-{settings.layers}"
    if not (folder / "config.json").exists():
        config = transformers.GteConfig(
            vocab_size=_VOCABULARY,
            num_hidden_layers=settings.layers,
            pad_token_id=0,
            num_labels=1 if kind == "GteForTokenClassification" else 2,
        )
        torch.manual_seed(0)
        getattr(transformers, kind)(config).save_pretrained(folder)
    return folder


def _rows(settings: Settings) -> Rows:
    return read_rows(settings.shared, count=settings.texts, max_length=settings.max_length)


def _shape(settings: Settings) -> dict[str, int]:
    return {
        "hidden": _HIDDEN,
        "inner": _INNER,
        "layers": settings.layers,
        "vocabulary": _VOCABULARY,
    }


def _memory_of(cell: str, engine: str) -> dict[str, float]:
    """Peak memory, measured in a child that runs this script with the same options."""
    words = [sys.executable, __file__, *sys.argv[1:], "--child", cell, engine]
    out = subprocess.run(words, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(out.stdout.splitlines()[-1])
    return result


def run_child(settings: Settings, cell: str, engine: str) -> None:
    """Train one engine on the cell's largest batch and print its peak memory."""
    kind, batches_name, precision = cell.split("/")
    build, batches, _ = _prepared(settings, kind, batches_name, precision)
    largest = max(batches, key=lambda batch: num_tokens(_sequences(batch)))
    print(json.dumps(peak_memory(build[engine](), [largest, largest], settings.device)))


def _sequences(batch: Any) -> Any:
    return batch.sequences if isinstance(batch, MaskedBatch) else batch.documents


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shared = Path(os.environ.get("MGTE_SHARED", REPOSITORY.parent / "shared"))
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--fresh", action="store_true", help="measure again what is stored")
    parser.add_argument("--report", action="store_true", help="write tables and plot, no runs")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--rows", type=int, default=8, help="texts in a masked-LM batch")
    parser.add_argument("--queries", type=int, default=4, help="queries in a contrastive batch")
    parser.add_argument("--max-length", type=int, default=2048)
    parser.add_argument("--batches", type=int, default=4, help="batches in one round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--texts", type=int, default=4000, help="texts that batches come from")
    parser.add_argument("--tokens-per-chunk", type=int, default=16_384)
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "runs" / "bench-train")
    parser.add_argument("--results", type=Path, default=None, help="another file")
    parser.add_argument("--shared", type=Path, default=shared, help="folder with data/")
    parser.add_argument("--child", nargs=2, metavar=("CELL", "ENGINE"), help=argparse.SUPPRESS)
    return parser.parse_args()


def settings_of(flags: argparse.Namespace) -> Settings:
    """Settings; a rehearsal takes small ones."""
    values = {name: getattr(flags, name) for name in Settings.__dataclass_fields__}
    if flags.quick:
        values |= {"layers": 1, "rows": 4, "queries": 2, "max_length": 256, "batches": 2}
        values |= {"rounds": 2, "texts": 200}
    return Settings(**values)


def main() -> None:
    """Measure what is missing, then report."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    flags = parse_arguments()
    settings = settings_of(flags)
    if flags.child:
        run_child(settings, *flags.child)
        return
    name = "train.json" if flags.device == "cpu" else "train_gpu.json"
    kept = REPOSITORY / "benchmarks" / "results" / name
    path = flags.results or (flags.folder / "quick" / name if flags.quick else kept)
    if not flags.report:
        is_gpu = flags.device.startswith("cuda")
        results = Results(path, device=torch.cuda.get_device_name() if is_gpu else "cpu")
        for cell in CELLS:
            wanted = all(word in cell.split("/") for word in flags.only)
            if wanted and (flags.fresh or cell not in results.values["cells"]):
                print(cell, flush=True)
                results.store(cell, run_cell(settings, cell))
                _print(results.values["cells"][cell])
    is_kept = path.is_relative_to(REPOSITORY / "benchmarks")
    folder = REPOSITORY / "docs" / "benchmarks" if is_kept else path.parent
    write_report(json.loads(path.read_text()), folder, path.stem)


def _print(cell: dict[str, Any]) -> None:
    for name, result in cell["engines"].items():
        seconds = float(np.median(result["seconds"]))
        memory = f", {result['peak_gb']:.2f} GB" if "peak_gb" in result else ""
        print(f"  {name}: {cell['num_tokens'] / seconds:,.0f} tokens/s{memory}", flush=True)


if __name__ == "__main__":
    main()
