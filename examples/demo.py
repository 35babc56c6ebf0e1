"""Search a small multilingual collection with a real model.

Run:       make demo            (or: python examples/demo.py)
Takes:     a few seconds once the environment is there
Prints:    ranks, scores and snippets for nine queries, timing, and what to do next
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

import mgte

MODEL = "all-minilm-l6-v2"
ARTICLES = Path(__file__).with_name("articles.jsonl")
TOP_K = 3

QUERIES = (
    ("why is the sea higher at full moon", "tides"),
    ("my gears skip when I pedal hard", "bicycle-chain"),
    ("how to keep yeast alive in the fridge", "sourdough-starter"),
    ("avoid wasted computation on padding tokens", "packed-batches"),
    ("find documents that use other words for the same thing", "library-catalogue"),
    ("what to do after touching a hot stove", "first-aid-burns"),
    ("Wann soll man zu einer Wattwanderung aufbrechen?", "gezeiten-watt"),
    ("怎样检查自行车的刹车", "zh-bicycle-brakes"),
    ("why does it rain so much in India in summer", "hi-monsoon"),
)


def snippet(text: str, width: int = 60) -> str:
    """The beginning of a text."""
    return text if len(text) <= width else text[: width - 1] + "…"


def print_facts(titles: list[str], vectors: mgte.Embeddings, max_length: int) -> None:
    """How much went in, and what was cut off."""
    cut = np.flatnonzero(vectors.is_truncated)
    print(f"tokens per article: {vectors.num_tokens.min()} to {vectors.num_tokens.max()}")
    print(f"cut at the model's {max_length} tokens: {len(cut)} of {len(vectors)} articles")
    for index in cut[:3]:
        print(f"  {titles[index]}: its last {vectors.num_tokens_dropped[index]} tokens")


def search(
    embedder: mgte.Embedder, articles: list[dict[str, str]], vectors: mgte.Embeddings
) -> int:
    """Print the best articles of every query; return how often the expected one came first."""
    queries = embedder.encode_query([query for query, _ in QUERIES])
    scores = embedder.similarity(queries, vectors)
    num_found = 0
    for (query, expected), row in zip(QUERIES, scores, strict=True):
        best = np.argsort(-row)[:TOP_K]
        num_found += articles[best[0]]["id"] == expected
        print(f"\n? {query}")
        for rank, index in enumerate(best, start=1):
            article = articles[index]
            mark = "*" if article["id"] == expected else " "
            title = snippet(article["title"], 40)
            print(f" {mark}{rank}. {row[index]:.3f}  [{article['language']}] {title}")
            print(f"            {snippet(article['text'])}")
    return num_found


def main() -> int:
    """Load, embed, search, and say what comes next."""
    articles = [json.loads(line) for line in ARTICLES.read_text("utf-8").splitlines()]
    started = time.perf_counter()
    embedder = mgte.Embedder.load(MODEL)
    loaded = time.perf_counter()
    print(f"{MODEL}: loaded in {loaded - started:.2f} s")
    vectors = embedder.encode_document([f"{a['title']}. {a['text']}" for a in articles])
    seconds = time.perf_counter() - loaded
    num_tokens = int(vectors.num_tokens.sum())
    print(
        f"{len(vectors)} articles, {num_tokens:,} tokens -> {embedder.dim} numbers each in "
        f"{seconds:.2f} s ({num_tokens / seconds:,.0f} tokens/s)"
    )
    print_facts([article["title"] for article in articles], vectors, embedder.max_length)
    num_found = search(embedder, articles, vectors)
    print(f"\nthe article meant (*) came first for {num_found} of {len(QUERIES)} queries")
    print(
        "\nWhat you saw: dense search with all-MiniLM-L6-v2, a small model for English. Texts in"
        "\nother languages score lower and less reliably with it, and it has neither token weights"
        "\n(sparse=True) nor a reranker. GTE models have them; they load the same way:"
        "\n"
        '\n  mgte.Embedder.load("Alibaba-NLP/gte-multilingual-base")'
        '\n  mgte.Reranker.load("Alibaba-NLP/gte-multilingual-reranker-base")'
        "\n"
        "\nNext:"
        "\n  .venv/bin/mgte embed examples/articles.jsonl --out vectors.npz"
        '\n  .venv/bin/mgte similarity "a ripe tomato" "a red vegetable" "a fast car"'
        "\n  .venv/bin/mgte doctor"
        "\n  docs/guides/embed.md"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
