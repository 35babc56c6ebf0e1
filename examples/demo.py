"""Search a small multilingual collection with the models that come with mgte.

Run:       make demo            (or: python examples/demo.py)
Takes:     a few seconds once the environment is there; needs no network
Prints:    per query the best articles with dense, sparse, hybrid and rerank scores, what the token
           weights are, timing, and what to do next
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

import mgte

EMBEDDER, RERANKER = "mgte-nano", "mgte-nano-reranker"
ARTICLES = Path(__file__).with_name("articles.jsonl")
# Hybrid score: dense + SPARSE_WEIGHT * sparse. Chosen on other collections, see the model's card.
SPARSE_WEIGHT = 0.05
# The reranker reads this many of the best articles of a query again, together with the query.
RERANKED = 6
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


def print_weights(embedder: mgte.Embedder, queries: mgte.Embeddings) -> None:
    """What the sparse head makes of the first query."""
    assert queries.sparse is not None
    (weights,) = queries.sparse.take([0]).to_strings(embedder.tokenizer)
    heaviest = sorted(weights.items(), key=lambda item: -item[1])
    print(f"\ntoken weights of {QUERIES[0][0]!r} (sparse search matches these words):")
    print("  " + "  ".join(f"{token} {weight:.2f}" for token, weight in heaviest))


def search(
    embedder: mgte.Embedder,
    reranker: mgte.Reranker,
    articles: list[dict[str, str]],
    vectors: mgte.Embeddings,
) -> dict[str, int]:
    """Print the best articles of every query; count how often the one meant came first."""
    queries = embedder.encode_query([query for query, _ in QUERIES], sparse=True)
    print_weights(embedder, queries)
    dense = embedder.similarity(queries, vectors)
    assert queries.sparse is not None and vectors.sparse is not None
    sparse = queries.sparse.dot(vectors.sparse)
    hybrid = dense + SPARSE_WEIGHT * sparse
    found = {"dense": 0, "hybrid": 0, "hybrid + rerank": 0}
    for number, (query, expected) in enumerate(QUERIES):
        best = np.argsort(-hybrid[number], kind="stable")[:RERANKED]
        texts = [articles[index]["text"] for index in best]
        scores = reranker.predict([(query, text) for text in texts])
        order = np.argsort(-scores, kind="stable")
        print(f"\n? {query}")
        print(f"     rerank   hybrid = dense + {SPARSE_WEIGHT} * sparse")
        for rank, place in enumerate(order[:TOP_K], start=1):
            index = best[place]
            article = articles[index]
            mark = "*" if article["id"] == expected else " "
            print(
                f" {mark}{rank}. {scores[place]:.3f}   {hybrid[number, index]:.3f}    "
                f"{dense[number, index]:.3f}         {sparse[number, index]:.2f}   "
                f"[{article['language']}] {snippet(article['title'], 40)}"
            )
        firsts = (np.argmax(dense[number]), best[0], best[order[0]])
        for name, index in zip(found, firsts, strict=True):
            found[name] += articles[index]["id"] == expected
    return found


def main() -> int:
    """Load, embed, search, rerank, and say what comes next."""
    articles = [json.loads(line) for line in ARTICLES.read_text("utf-8").splitlines()]
    started = time.perf_counter()
    embedder = mgte.Embedder.load(EMBEDDER)
    reranker = mgte.Reranker.load(RERANKER)
    loaded = time.perf_counter()
    print(f"{EMBEDDER} and {RERANKER}: loaded in {loaded - started:.2f} s")
    texts = [f"{article['title']}. {article['text']}" for article in articles]
    vectors = embedder.encode_document(texts, sparse=True)
    seconds = time.perf_counter() - loaded
    num_tokens = int(vectors.num_tokens.sum())
    print(
        f"{len(vectors)} articles, {num_tokens:,} tokens -> {embedder.dim} numbers and "
        f"{len(vectors.sparse.values) / len(vectors):.0f} token weights each in {seconds:.2f} s "
        f"({num_tokens / seconds:,.0f} tokens/s)"
    )
    print_facts([article["title"] for article in articles], vectors, embedder.max_length)
    found = search(embedder, reranker, articles, vectors)
    counts = ", ".join(f"{name} {count}" for name, count in found.items())
    print(f"\nthe article meant (*) came first, of {len(QUERIES)} queries: {counts}")
    print(
        "\nWhat you saw: dense vectors find other words for the same thing, token weights find the"
        "\nsame words, and the reranker reads query and article together. Both models are small (25"
        "\nMB) and come with mgte. Larger ones load the same way:"
        "\n"
        '\n  mgte.Embedder.load("Alibaba-NLP/gte-multilingual-base")'
        '\n  mgte.Reranker.load("Alibaba-NLP/gte-multilingual-reranker-base")'
        "\n"
        "\nNext:"
        "\n  .venv/bin/mgte embed examples/articles.jsonl --sparse --out vectors.npz"
        '\n  .venv/bin/mgte rerank examples/articles.jsonl --query "a brown lawn in July"'
        "\n  .venv/bin/mgte doctor"
        "\n  docs/guides/embed.md, docs/guides/train-your-own.md"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
