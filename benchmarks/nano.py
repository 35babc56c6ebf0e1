"""mgte-nano on retrieval collections, beside BM25 and all-MiniLM-L6-v2: nDCG@10, one by one.

    MGTE_SHARED=... python benchmarks/nano.py               # all collections, tables and plot
    python benchmarks/nano.py --only cranfield xquad-de     # some; results of the others are kept
    python benchmarks/nano.py --embedder runs/nano/03-embedding/model --out /tmp/trial

Collections lie under `$MGTE_SHARED/data` (a folder in BEIR layout each). Results go to
benchmarks/results/nano.json, tables and plot to docs/benchmarks/nano.md and .png.
"""

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import mgte
from mgte.evaluate import (
    Collection,
    HybridConfig,
    RetrievalConfig,
    evaluate_retrieval,
    read_collection,
)

REPOSITORY = Path(__file__).parents[1]
XQUAD_LANGUAGES = ("ar", "de", "el", "en", "es", "hi", "ro", "ru", "th", "tr", "vi", "zh")
MINILM = "all-minilm-l6-v2"
# Enough where a collection is 240 or 1,104 paragraphs, for thousands of queries.
FEW = 5
SYSTEMS = ("bm25", "minilm", "dense", "sparse", "hybrid", "reranked")
TITLES = {
    "bm25": "BM25",
    "minilm": "all-MiniLM-L6-v2",
    "dense": "nano dense",
    "sparse": "nano sparse",
    "hybrid": "nano hybrid",
    "reranked": "nano hybrid + rerank",
}


@dataclass(frozen=True)
class Place:
    """Where a collection is.

    Attributes:
        folder: Folder under `data`.
        split: Judgements.
        document_ids: Pattern of the ids of its documents.
        is_english: Whether queries and documents are English (or code).
        rerank_depth: Documents that are reranked per query.
    """

    folder: str
    split: str = "test"
    document_ids: str = "*"
    is_english: bool = True
    rerank_depth: int = 20


PLACES = {
    "scifact": Place("scifact_beir"),
    "cranfield": Place("ir_cranfield"),
    "cisi": Place("ir_cisi"),
    "cacm": Place("ir_cacm"),
    "npl": Place("ir_npl"),
    "cosqa": Place("cosqa"),
    "climate-fever": Place("climate_fever_sentences"),
    **{
        f"xquad-{language}": Place(
            "xquad_retrieval", language, f"{language}-*", language == "en", rerank_depth=FEW
        )
        for language in XQUAD_LANGUAGES
    },
    "cmrc2018": Place("cmrc2018_retrieval", is_english=False, rerank_depth=FEW),
}
# The English collections whose mean the project aims at.
AIMED_AT = ("scifact", "cranfield", "cisi", "cacm", "npl", "cosqa", "climate-fever")


def measure(
    collection: Collection,
    embedder: mgte.Embedder,
    reranker: mgte.Reranker | None,
    config: RetrievalConfig,
) -> dict[str, float]:
    """nDCG@10 of every system."""
    ours = evaluate_retrieval(embedder, collection, reranker=reranker, config=config)
    others = evaluate_retrieval(
        mgte.Embedder.load(MINILM), collection, modes=("dense", "bm25"), config=RetrievalConfig()
    )
    return ours.metrics | {"minilm": others.metrics["dense"], "bm25": others.metrics["bm25"]}


def means(scores: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Mean over the English collections that are aimed at, and over the others."""
    groups = {
        "mean of the seven English": [name for name in AIMED_AT if name in scores],
        "mean of the non-English": [
            name for name in scores if name in PLACES and not PLACES[name].is_english
        ],
    }
    return {
        title: {
            system: float(np.mean([scores[name][system] for name in names]))
            for system in scores[names[0]]
        }
        for title, names in groups.items()
        if names
    }


def table(scores: dict[str, dict[str, float]]) -> str:
    """Markdown: a row per collection, the best of each in bold."""
    systems = [name for name in SYSTEMS if all(name in row for row in scores.values())]
    head = " | ".join(TITLES[name] for name in systems)
    lines = [f"| collection | {head} |", "|---|" + "---:|" * len(systems)]
    for name, row in (scores | means(scores)).items():
        best = max(row[system] for system in systems)
        cells = (
            f"**{row[system]:.3f}**" if row[system] == best else f"{row[system]:.3f}"
            for system in systems
        )
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(scores: dict[str, dict[str, float]], path: Path) -> None:
    """Bars per collection."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    systems = [name for name in SYSTEMS if all(name in row for row in scores.values())]
    rows = scores | means(scores)
    figure, axes = pyplot.subplots(figsize=(8, 0.42 * len(rows) * len(systems) / 3 + 1.5))
    height = 0.8 / len(systems)
    for number, system in enumerate(systems):
        places = np.arange(len(rows)) + (number - (len(systems) - 1) / 2) * height
        values = [row[system] for row in rows.values()]
        axes.barh(places, values, height=height, label=TITLES[system])
    axes.set_yticks(np.arange(len(rows)), list(rows))
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.margins(y=0.01)
    axes.set_xlabel("nDCG@10")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=8, frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def report(stored: dict[str, Any], out: Path) -> None:
    """Write the page and the plot."""
    scores = {name: stored["scores"][name] for name in PLACES if name in stored["scores"]}
    settings = stored["settings"]
    plot(scores, out / "nano.png")
    lines = [
        "# mgte-nano on retrieval collections",
        "",
        "nDCG@10 of exact searches, every query against every document. Hybrid: dense + "
        f"{settings['sparse_weight']} x sparse for English, dense + "
        f"{settings['other_sparse_weight']} x sparse for other languages. Reranked: the best 20 of "
        f"it (xquad, cmrc2018: {FEW}), {1 - settings['rerank_blend']:.0%} of the new score from "
        "the reranker, the rest from the ranking before, both stretched to 0..1. They were "
        "chosen on cacm, npl and the dev parts of cosqa and cmrc2018. BM25: k1 0.9, b 0.4, words "
        "(character pairs in Chinese, Japanese, Thai). Each model reads as much of a document as "
        "it was made for. Written by `benchmarks/nano.py`.",
        "",
        table(scores),
        "",
        "![nDCG@10 by collection](nano.png)",
        "",
    ]
    (out / "nano.md").write_text("\n".join(lines), encoding="utf-8")


def main() -> None:
    """Measure what is asked for, then write the report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--embedder", default="mgte-nano")
    parser.add_argument("--reranker", default="mgte-nano-reranker", help='"" for none')
    parser.add_argument("--only", nargs="+", choices=PLACES, default=list(PLACES))
    parser.add_argument("--sparse-weight", type=float, default=0.05, help="English collections")
    parser.add_argument("--other-sparse-weight", type=float, default=0.3, help="other collections")
    parser.add_argument("--rerank-blend", type=float, default=0.7)
    parser.add_argument("--out", type=Path, help="folder of JSON, page and plot for a trial")
    given = parser.parse_args()
    results = given.out or REPOSITORY / "benchmarks/results"
    pages = given.out or REPOSITORY / "docs/benchmarks"
    results.mkdir(parents=True, exist_ok=True)
    settings = {
        "embedder": given.embedder if given.out is None else str(given.embedder),
        "reranker": given.reranker,
        "sparse_weight": given.sparse_weight,
        "other_sparse_weight": given.other_sparse_weight,
        "rerank_blend": given.rerank_blend,
    }
    file = results / "nano.json"
    stored: dict[str, Any] = {"settings": settings, "scores": {}}
    if file.exists() and json.loads(file.read_text())["settings"] == settings:
        stored = json.loads(file.read_text())
    embedder = mgte.Embedder.load(given.embedder)
    reranker = mgte.Reranker.load(given.reranker) if given.reranker else None
    shared = Path(os.environ.get("MGTE_SHARED", REPOSITORY.parent / "shared"))
    for name in given.only:
        place = PLACES[name]
        collection = read_collection(
            shared / "data" / place.folder, split=place.split, document_ids=place.document_ids
        )
        weight = given.sparse_weight if place.is_english else given.other_sparse_weight
        config = RetrievalConfig(
            hybrid=HybridConfig(sparse_weight=weight),
            rerank_blend=given.rerank_blend,
            rerank_depth=place.rerank_depth,
        )
        stored["scores"][name] = measure(collection, embedder, reranker, config)
        print(name, {key: round(value, 4) for key, value in stored["scores"][name].items()})
        file.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    report(stored, pages)


if __name__ == "__main__":
    main()
