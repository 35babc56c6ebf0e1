"""Rerank documents for a query.

Run:     python examples/02_rerank.py [QUERY]
Takes:   seconds
Prints:  the articles of this folder, best first
"""

import json
import sys
from pathlib import Path

import mgte

ARTICLES = Path(__file__).with_name("articles.jsonl")


def main() -> int:
    """Load the reranker, score all articles, print the best."""
    query = sys.argv[1] if len(sys.argv) > 1 else "why are there two tides a day"
    articles = [json.loads(line) for line in ARTICLES.read_text("utf-8").splitlines()]
    reranker = mgte.Reranker.load("mgte-nano-reranker")
    for hit in reranker.rank(query, [article["text"] for article in articles], top_k=5):
        print(f"{hit.score:.3f}  {articles[hit.index]['title']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
