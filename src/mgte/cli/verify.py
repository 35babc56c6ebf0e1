"""`mgte verify`: how exact a model is here, in every backend, dtype and batch shape."""

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from mgte.cli.options import (
    BACKENDS,
    REFERENCE_BACKEND,
    LoadSettings,
    add_json_option,
    add_source_options,
)
from mgte.cli.output import say, write_json, write_line, write_table
from mgte.errors import CheckpointError

if TYPE_CHECKING:
    from mgte.cli.parity import ModelKind, ParityReport, Sequences
    from mgte.cli.published import PublishedRow
    from mgte.inference import Embedder, Reranker

DESCRIPTION = (
    "Measure how far each backend, dtype and batch shape is from exact results (float32, every "
    "text alone), and compare with published numbers where the checkpoint is a known one."
)
EXAMPLE = "  mgte verify mgte-nano --dtypes float32 bfloat16"

DTYPES = ("float32", "bfloat16", "int8")
_SAMPLES = (
    "Plants create oxygen.",
    "What makes the sea rise twice a day?",
    "A worn chain grinds the teeth of the sprockets into hooks.",
    "中国的首都在哪儿",
    "Der Rückweg gelingt nur bei ablaufendem Wasser.",
    "मानसून जून में आता है।",
    "42",
    "Contour lines join points of equal height; where they crowd together the slope is steep.",
)
_REPEATS = (1, 2, 9, 40)
_RANDOM_LENGTHS = (1, 2, 3, 7, 16, 33, 64, 65, 128, 5, 200, 12)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("model", metavar="MODEL", help="folder, hub id or bundled name")
    parser.add_argument("--texts", metavar="FILE", help="measure on the texts of this file")
    parser.add_argument(
        "--backends", nargs="+", default=BACKENDS, metavar="NAME", help=", ".join(BACKENDS)
    )
    parser.add_argument(
        "--dtypes",
        nargs="+",
        default=DTYPES,
        choices=(*DTYPES, "float16"),
        metavar="NAME",
        help="float32, bfloat16, float16 (GPU), int8 (CPU)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps")
    add_source_options(parser)
    add_json_option(parser, "the report")


def run(arguments: argparse.Namespace) -> int:
    """Print the report; exit code 1 if something is worse than its dtype explains."""
    from mgte.cli.parity import load, measure
    from mgte.cli.published import checkpoint_of, compare_published

    settings = LoadSettings(
        device=arguments.device,
        dtype="float32",
        backend=REFERENCE_BACKEND,
        max_length=None,
        revision=arguments.revision,
        offline=arguments.offline,
    )
    kind = kind_of(arguments)
    model = load(arguments.model, kind, settings, backend=REFERENCE_BACKEND, dtype="float32")
    sequences = sample_ids(model, read_lines(arguments.texts))
    checkpoint = checkpoint_of(arguments.model)
    published = [] if checkpoint is None else compare_published(model, checkpoint)
    report = measure(
        arguments.model,
        kind,
        sequences,
        settings=settings,
        backends=arguments.backends,
        dtypes=arguments.dtypes,
    )
    is_ok = report.is_ok and all(row.is_ok for row in published)
    if arguments.json:
        write_json(
            {
                "model": arguments.model,
                "is_ok": is_ok,
                **asdict(report),
                "published": [{**asdict(row), "is_ok": row.is_ok} for row in published],
            }
        )
    else:
        print_report(report, published)
    if not is_ok:
        say("some results differ by more than their dtype explains")
    return 0 if is_ok else 1


def kind_of(arguments: argparse.Namespace) -> "ModelKind":
    """What the model gives, by its head."""
    from mgte.store import open_model

    opened = open_model(arguments.model, revision=arguments.revision, offline=arguments.offline)
    if opened.head.kind == "masked_lm":
        raise CheckpointError(
            f"{arguments.model}: is a masked language model, expected an embedding model or a "
            "reranker"
        )
    return "reranking" if opened.head.kind == "sequence_classification" else "embedding"


def sample_ids(model: "Embedder | Reranker", texts: list[str]) -> "Sequences":
    """Token ids of the texts; random ids for a model folder without a tokenizer."""
    import numpy as np

    from mgte.cli.parity import token_ids

    try:
        return token_ids(model, texts)
    except CheckpointError as error:
        say(f"{error.message}: measured on random token ids")
        config = model.model.config
        generator = np.random.default_rng(0)
        lengths = [length for length in _RANDOM_LENGTHS if length <= config.max_tokens]
        return [generator.integers(1, config.vocab_size, size=n).tolist() for n in lengths]


def read_lines(path: str | None) -> list[str]:
    """Texts to measure on: the file's lines, or samples of several languages and lengths."""
    if path is None:
        return [" ".join([text] * count) for count in _REPEATS for text in _SAMPLES]
    from mgte.text import read_rows

    return [row.text for row in read_rows(path)]


def print_report(report: "ParityReport", published: "list[PublishedRow]") -> None:
    """The report for a person."""
    write_line(
        f"{report.num_sequences:,} texts, {report.num_tokens:,} tokens, against float32 "
        f"{REFERENCE_BACKEND} one by one\n"
    )
    header = ("backend", "dtype", "batches", "min cosine", "max abs", "top-10 kept", "verdict")
    rows = []
    for row in report.rows:
        cosine = None if row.min_cosine is None else f"{row.min_cosine:.7f}"
        largest = None if row.max_abs is None else f"{row.max_abs:.1e}"
        kept = None if row.top_k_overlap is None else f"{row.top_k_overlap:.1%}"
        verdict = "ok" if row.is_ok else "off" if row.is_ok is False else "not measured"
        note = f"{verdict}: {row.reason}" if row.reason else verdict
        rows.append((row.backend, row.dtype, row.shape, cosine, largest, kept, note))
    write_table(header, rows)
    if published:
        write_line("\npublished results")
        write_table(
            ("kind", "max abs", "tolerance", "verdict", "source"),
            [
                (
                    row.kind,
                    f"{row.max_abs:.1e}",
                    row.tolerance,
                    "ok" if row.is_ok else "off",
                    row.source,
                )
                for row in published
            ],
        )
