"""End to end on real text: tokeniser and encoder together, beside sentence-transformers."""

import gzip
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import Effort, Timed, measure_cell, smallest_cosine

import mgte
from mgte.inference.cores import available_cores

_NUM_TEXTS = 512


class _Ours:
    def __init__(self, folder: Path, dtype: str) -> None:
        self.name = f"mgte {dtype}"
        self._embedder = mgte.Embedder.load(str(folder), device="cpu", dtype=dtype)

    def encode(self, texts: Any) -> Any:
        return self._embedder.encode(texts, show_progress=False).dense


class _SentenceTransformers:
    name = "SentenceTransformer.encode"

    def __init__(self, folder: Path) -> None:
        from sentence_transformers import SentenceTransformer

        self._model = SentenceTransformer(str(folder), device="cpu")

    def encode(self, texts: Any) -> Any:
        torch.set_num_threads(available_cores())
        return self._model.encode(texts, show_progress_bar=False)


def measure_texts(folder: Path, source: Path, effort: Effort, *, quick: bool) -> dict[str, Any]:
    """Time both on the same texts.

    Args:
        folder: A model folder with tokenizer.
        source: JSON lines with a field `text` (and `title`), plain or gzipped.
        effort: How long it may take.
        quick: Whether to take a quarter of the texts.

    Returns:
        The engines' results, the number of texts, and what they are.
    """
    texts = read_texts(source, _NUM_TEXTS // (4 if quick else 1))
    peer = _SentenceTransformers(folder)
    engines: list[Timed] = [
        peer,
        *(_Ours(folder, dtype) for dtype in ("float32", "bfloat16", "int8")),
    ]
    reference = np.asarray(peer.encode(texts))
    out = mgte.Embedder.load(str(folder), device="cpu").encode(texts, show_progress=False)
    results = measure_cell(engines, texts, effort, warm_up=texts, reference=reference)
    return {
        "source": source.parent.name,
        "num_texts": len(texts),
        "num_tokens": int(out.num_tokens.sum()),
        "agreement": smallest_cosine(np.asarray(out.dense), reference),
        "engines": results,
    }


def read_texts(source: Path, count: int) -> list[str]:
    """The first texts of a collection, title before text."""
    opener = gzip.open if source.suffix == ".gz" else open
    with opener(source, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in itertools.islice(lines, count)]
    return [f"{row.get('title', '')} {row['text']}".strip() for row in rows]
