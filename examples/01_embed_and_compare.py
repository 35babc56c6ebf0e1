"""Embed texts of different lengths and compare them.

Run:     python examples/01_embed_and_compare.py      (needs the extra `demo`)
Takes:   a few seconds
Prints:  similarities, token counts, what was cut, and that a text's vector does not depend on
         the other texts of its batch
"""

import numpy as np

import mgte

TEXTS = [
    "The moon pulls the sea into two bulges.",
    "High and low water follow each other because of the moon.",
    "A worn chain skips under load.",
    "tide " * 400,
]


def main() -> None:
    """Embed, compare, report."""
    embedder = mgte.Embedder.load("mgte-nano")
    vectors = embedder.encode(TEXTS)

    print("similarity of the first text to all")
    for text, score in zip(TEXTS, embedder.similarity(vectors, vectors)[0], strict=True):
        print(f"  {score:.3f}  {text[:60]}")

    print("tokens, and tokens that did not fit")
    for kept, dropped in zip(vectors.num_tokens, vectors.num_tokens_dropped, strict=True):
        print(f"  {kept:4d}  {dropped:4d}")

    alone = embedder.encode(TEXTS[0])
    difference = np.abs(alone.dense[0] - vectors.dense[0]).max()
    print(f"alone or in a batch: the vectors differ by at most {difference:.1e}")


if __name__ == "__main__":
    main()
