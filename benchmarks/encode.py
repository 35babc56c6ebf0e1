"""Our encoder beside its peers: same weights, same token ids, interleaved in one run.

Cells are SHAPE/WORKLOAD/PRECISION, such as gte-base/W2/int8. Each is stored when it is done, and a
later run does only what is missing:

    python benchmarks/encode.py                      # everything, then the tables and the plot
    python benchmarks/encode.py --only gte-base W2   # cells that match every word
    python benchmarks/encode.py --quick              # fewer texts, layers and rounds; own results
    python benchmarks/encode.py --prepare            # only what takes long and is not measured
    python benchmarks/encode.py --report             # only the tables and the plot

Beyond cells there are `texts` (tokeniser included, real MiniLM weights), `start` and `memory`.
"""

import argparse
import gc
import json
import logging
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import transformers
from checkpoints import SHAPES, Checkpoint, make_checkpoint
from children import peak_memory, start_up
from gemm_ceiling import gemm_ceiling
from measure import Effort, measure_cell
from ours import DTYPES, build_ours
from peer_graphs import NUM_CALIBRATION, onnx_int8_graph, openvino_graph
from peers import Vectors, build_peers, reference_vectors
from report import write_report
from stored import Results
from texts import measure_texts
from workloads import Workload, build_workload

from mgte.inference.cores import available_cores
from mgte.store import resolve_model

REPOSITORY = Path(__file__).parents[1]
_EXTRAS = ("texts", "start", "memory")
_QUICK_LAYERS = 2


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the command line asked for.

    Attributes:
        only: Words that a cell's name must all hold; empty means every cell.
        quick: Fewer texts, layers and rounds.
        fresh: Measure again what is stored.
        backends: Our backends.
        effort: How long a cell may take.
        folder: Where checkpoints and exported graphs are kept.
        results: The JSON file.
        texts: A collection for the measurement with tokeniser.
    """

    only: tuple[str, ...]
    quick: bool
    fresh: bool
    backends: tuple[str, ...]
    effort: Effort
    folder: Path
    results: Path
    texts: Path

    def checkpoint(self, shape: str) -> Checkpoint:
        """The shape's checkpoint; made if it is not there."""
        described = SHAPES[shape]
        num_layers = _QUICK_LAYERS if self.quick else described.num_layers
        return make_checkpoint(described, self.folder, num_layers=num_layers)


def run_cell(settings: Settings, name: str) -> dict[str, Any]:
    """Measure one cell."""
    shape, workload_name, precision = name.split("/")
    checkpoint = settings.checkpoint(shape)
    workload = _workload(settings, checkpoint, workload_name)
    calibration = _calibration(settings, checkpoint)
    engines = [
        *build_ours(checkpoint, precision, settings.backends, workload_name),
        *build_peers(checkpoint, precision, calibration, workload.lengths),
    ]
    reference = _reference(settings, checkpoint, workload)
    results = measure_cell(
        engines,
        workload.sequences,
        settings.effort,
        warm_up=workload.warm_up,
        reference=reference,
    )
    cell = {
        "num_layers": checkpoint.num_layers,
        "num_sequences": len(workload.sequences),
        "num_tokens": workload.num_tokens,
        "lengths": workload.lengths,
        "engines": results,
    }
    if workload_name == "W2" and shape == "gte-base":
        cell["ceiling_gflops"] = gemm_ceiling(DTYPES[precision])  # type: ignore[arg-type]
    return cell


def _workload(settings: Settings, checkpoint: Checkpoint, name: str) -> Workload:
    return build_workload(
        name,
        vocab_size=checkpoint.load_config().vocab_size,
        max_tokens=checkpoint.shape.max_tokens,
        quick=settings.quick,
    )


def _calibration(settings: Settings, checkpoint: Checkpoint) -> list[list[int]]:
    """Passages for static int8, other ids than the workloads'."""
    passages = build_workload(
        "W2",
        vocab_size=checkpoint.load_config().vocab_size,
        max_tokens=checkpoint.shape.max_tokens,
        quick=False,
        seed=1,
    )
    return passages.sequences[:NUM_CALIBRATION]


def _reference(settings: Settings, checkpoint: Checkpoint, workload: Workload) -> Vectors:
    """Float32 vectors of transformers, kept beside the checkpoint."""
    path = checkpoint.folder / f"{workload.name}-{len(workload.sequences)}-reference.npy"
    if not path.exists():
        np.save(path, reference_vectors(checkpoint, workload.sequences, available_cores()))
    vectors: Vectors = np.load(path)
    return vectors


def run_texts(settings: Settings, _: str) -> dict[str, Any]:
    """Tokeniser and encoder together on real weights and real text."""
    folder = resolve_model("all-minilm-l6-v2")
    return measure_texts(folder, settings.texts, settings.effort, quick=settings.quick)


def run_start(settings: Settings, _: str) -> dict[str, Any]:
    """Start to the first vector."""
    return {"seconds": start_up(resolve_model("all-minilm-l6-v2"))}


def run_memory(settings: Settings, _: str) -> dict[str, Any]:
    """Peak memory of one long document."""
    checkpoint = settings.checkpoint("gte-base")
    return {dtype: peak_memory(checkpoint.encoder, dtype) for dtype in DTYPES.values()}


def cell_names(settings: Settings) -> list[str]:
    """All cells that the command line asks for."""
    names = [
        f"{shape.name}/{workload}/{precision}"
        for shape in SHAPES.values()
        for workload in shape.workloads
        for precision in DTYPES
    ]
    return [
        name
        for name in [*names, *_EXTRAS]
        if all(word in name.split("/") for word in settings.only)
    ]


def run(settings: Settings) -> None:
    """Measure what is missing."""
    results = Results(settings.results)
    special: dict[str, Callable[[Settings, str], dict[str, Any]]] = {
        "texts": run_texts,
        "start": run_start,
        "memory": run_memory,
    }
    for name in cell_names(settings):
        if name in results.values["cells"] and not settings.fresh:
            continue
        print(name, flush=True)
        results.store(name, special.get(name, run_cell)(settings, name))
        gc.collect()


def prepare(settings: Settings) -> None:
    """Make checkpoints and exported graphs, which takes minutes and needs no quiet machine."""
    for shape in SHAPES:
        checkpoint = settings.checkpoint(shape)
        calibration = _calibration(settings, checkpoint)
        onnx_int8_graph(checkpoint)
        for kind in ("float", "static", "dynamic"):
            print(openvino_graph(checkpoint, kind, calibration), flush=True)
        for workload in checkpoint.shape.workloads:
            _reference(settings, checkpoint, _workload(settings, checkpoint, workload))


def parse_arguments() -> tuple[Settings, argparse.Namespace]:
    """Settings, and the flags `prepare` and `report`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shared = Path(os.environ.get("MGTE_SHARED", REPOSITORY.parent / "shared"))
    collection = shared / "data" / "scifact_beir" / "corpus.jsonl.gz"
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--fresh", action="store_true", help="measure again what is stored")
    parser.add_argument("--prepare", action="store_true", help="only export the peers' graphs")
    parser.add_argument("--report", action="store_true", help="write tables and plot, no runs")
    parser.add_argument("--backends", nargs="+", default=["auto", "torch", "openvino"])
    parser.add_argument("--seconds", type=float, default=20.0, help="time of a cell's rounds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "runs" / "bench")
    parser.add_argument(
        "--results", type=Path, default=None, help="another file; the report goes beside it"
    )
    parser.add_argument("--texts", type=Path, default=collection)
    arguments = parser.parse_args()
    kept = REPOSITORY / "benchmarks" / "results" / "encode.json"
    results = arguments.folder / "quick" / "encode.json" if arguments.quick else kept
    settings = Settings(
        only=tuple(arguments.only),
        quick=arguments.quick,
        fresh=arguments.fresh,
        backends=tuple(arguments.backends),
        effort=Effort(seconds=arguments.seconds, max_rounds=arguments.rounds),
        folder=arguments.folder,
        results=arguments.results or results,
        texts=arguments.texts,
    )
    return settings, arguments


def _silence() -> None:
    """Exporters and quantisers tell much that is of no use here."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def main() -> None:
    """Measure, then report."""
    # Nothing here may reach for a model hub.
    os.environ["HF_HUB_OFFLINE"] = "1"
    _silence()
    settings, flags = parse_arguments()
    if flags.prepare:
        prepare(settings)
        return
    if not flags.report:
        run(settings)
    kept = settings.results.is_relative_to(REPOSITORY / "benchmarks")
    folder = REPOSITORY / "docs" / "benchmarks" if kept else settings.results.parent
    write_report(json.loads(settings.results.read_text()), folder)


if __name__ == "__main__":
    main()
