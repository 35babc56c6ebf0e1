r"""Puts a trained model into the package: weights, tokenizer, recipe, logs, curves and its card.

    python recipes/nano/package_model.py runs/nano --stage embedding --recipe recipes/nano.yaml \
        --results benchmarks/results/nano.json

The card tells what the folder, the logs and the results say; nothing is typed in but sentences.
"""

import argparse
import json
import shutil
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import yaml

from mgte.store import (
    EvaluationFacts,
    SourceFacts,
    TrainingFacts,
    read_training_facts,
    write_model_card,
)
from mgte.train import plot_curves

REPOSITORY = Path(__file__).parents[2]
SOURCES = Path(__file__).with_name("sources.yaml")
SUMMARIES = {
    "mgte-nano": (
        "A small multilingual embedding model: dense vectors that may be cut to 64, 128 or 256 "
        "numbers, and sparse token weights, from one pass. It comes with mgte.",
        "bm25 minilm dense sparse hybrid".split(),
    ),
    "mgte-nano-reranker": (
        "A small multilingual cross-encoder: it reads a query and a document together. It comes "
        "with mgte and is meant for the best hits of mgte-nano.",
        "bm25 minilm hybrid reranked".split(),
    ),
}
LIMITATIONS = (
    "It starts from all-MiniLM-L6-v2, an English model; other languages were learned from "
    "translations of software manuals, command-line pages and scripture, so that results on them "
    "are uneven.",
    "Learned positions beyond 512 repeat the first ones; few of its training texts are that long.",
    "Characters that are neither in its vocabulary nor in its training data are unknown to it.",
)


def sources_of(run: Path) -> tuple[SourceFacts, ...]:
    """Rows by source over the prepared datasets, with licences."""
    described = yaml.safe_load(SOURCES.read_text("utf-8"))
    rows: Counter[str] = Counter()
    for manifest in sorted((run / "data").glob("*/manifest.json")):
        for source in json.loads(manifest.read_text("utf-8"))["sources"]:
            for name, count in rows_of(source, manifest.parent).items():
                rows[name.removeprefix("cloze-").split("-")[0]] += count
    unknown = sorted(rows.keys() - described.keys())
    if unknown:
        raise SystemExit(f"{SOURCES}: no licence of {', '.join(unknown)}")
    return tuple(
        SourceFacts(name=name, rows=rows[name], **described[name]) for name in sorted(rows)
    )


def rows_of(source: dict, folder: Path) -> dict[str, int]:
    """Rows by source: read from the rows themselves where files of several were one source."""
    if source["name"] not in ("vectors", "texts", "groups"):
        return {source["name"]: sum(source["rows"].values())}
    import pyarrow.parquet as pq

    counts: Counter[str] = Counter()
    for shard in sorted(folder.glob("rows-*.parquet")):
        places = pq.read_table(shard, columns=["place"])["place"].to_pylist()
        counts.update(Path(place.split(":")[0]).stem for place in places)
    return dict(counts)


def evaluation_of(results: Path, columns: list[str]) -> tuple[EvaluationFacts, ...]:
    """nDCG@10 by collection."""
    scores = json.loads(results.read_text("utf-8"))["scores"]
    return tuple(
        EvaluationFacts(
            collection=name,
            metric="nDCG@10",
            values={column: row[column] for column in columns if column in row},
        )
        for name, row in scores.items()
    )


def copy_model(model: Path, out: Path) -> None:
    """Everything that the model folder holds."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(model, out)


def main() -> None:
    """Copy, describe, and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--stage", required=True, help="stage whose model is taken")
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--results", type=Path, required=True, help="of benchmarks/nano.py")
    parser.add_argument("--model", type=Path, help="another folder than the stage's")
    parser.add_argument("--note", nargs=2, action="append", default=[], metavar=("NAME", "TEXT"))
    given = parser.parse_args()
    name = yaml.safe_load(given.recipe.read_text("utf-8"))["name"]
    out = REPOSITORY / "src/mgte/bundled" / name
    stages = sorted(folder for folder in given.run.iterdir() if folder.name[:2].isdigit())
    (last,) = (folder for folder in stages if folder.name[3:] == given.stage)
    copy_model(given.model or last / "model", out)
    shutil.copyfile(given.recipe, out / "recipe.yaml")
    for stage in stages:
        shutil.copyfile(stage / "metrics.jsonl", out / f"{stage.name}.metrics.jsonl")
    plot_curves(given.run, out / "curves.png")
    summary, columns = SUMMARIES[name]
    facts = read_training_facts(last / "model") or TrainingFacts()
    write_model_card(
        out,
        replace(
            facts,
            name=name,
            summary=summary,
            licence="apache-2.0",
            languages=("multilingual",),
            start_models=("sentence-transformers/all-MiniLM-L6-v2",),
            recipe=f"recipes/{given.recipe.name}",
            sources=sources_of(given.run),
            evaluation=evaluation_of(given.results, columns),
            notes=facts.notes | dict(given.note),
            limitations=LIMITATIONS,
        ),
    )
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    sys.stderr.write(f"{out}: {size / 1e6:.1f} MB\n")


if __name__ == "__main__":
    main()
