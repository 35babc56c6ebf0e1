"""A search in parts finds what a search of everything finds."""

import numpy as np
import pytest

from mgte.errors import DataError
from mgte.search import InvertedLists, encode_texts, nearest_rows, search_in_parts
from mgte.vectors import Embeddings, SparseVectors

WORDS = 12


def embed(texts) -> Embeddings:
    """Counts of few words, so that many scores are equal."""
    counts = np.array([[text.count(chr(97 + i)) for i in range(WORDS)] for text in texts])
    rows = [np.flatnonzero(row) for row in counts]
    indptr = np.cumsum([0, *(len(row) for row in rows)]).astype(np.int64)
    sparse = SparseVectors(
        indptr=indptr,
        indices=np.concatenate(rows).astype(np.int32),
        values=np.concatenate([counts[i][row] for i, row in enumerate(rows)]).astype(np.float32),
        vocab_size=WORDS,
    )
    lengths = counts.sum(axis=1)
    return Embeddings(
        dense=counts.astype(np.float32),
        sparse=sparse,
        num_tokens=lengths.astype(np.int64),
        is_truncated=lengths > 6,
    )


def made_texts(count: int, seed: int) -> list[str]:
    random = np.random.default_rng(seed)
    return ["".join(random.choice(list("abcdefghijkl"), size=n)) for n in 1 + np.arange(count) % 8]


@pytest.mark.parametrize("size", [1, 7, 40, 100])
@pytest.mark.parametrize("count", [1, 5, 200])
def test_parts_find_what_the_whole_finds(size, count) -> None:
    texts, queries = made_texts(83, 1), encode_texts(embed, made_texts(9, 2))
    whole = encode_texts(embed, texts)
    found = search_in_parts(embed, queries, texts, count, texts_per_part=size)
    expected = {
        "dense": nearest_rows(queries.dense, whole.dense, count),
        "sparse": InvertedLists(whole.sparse).best_rows(queries.sparse, count),
    }
    for name, rankings in expected.items():
        for ours, theirs in zip(getattr(found, name), rankings, strict=True):
            np.testing.assert_array_equal(ours.rows, theirs.rows)
            np.testing.assert_array_equal(ours.scores, theirs.scores)
    assert found.num_truncated == whole.num_truncated > 0
    assert set(found.seconds) == {"embed", "dense", "sparse"}


def test_only_what_queries_have_is_searched() -> None:
    queries = encode_texts(embed, made_texts(3, 2))
    dense_only = type(queries)(dense=queries.dense, sparse=None, num_tokens=0, num_truncated=0)
    assert search_in_parts(embed, dense_only, ["abc"], 5).sparse is None

    def embed_dense(texts) -> Embeddings:
        found = embed(texts)
        return Embeddings(
            dense=found.dense,
            sparse=None,
            num_tokens=found.num_tokens,
            is_truncated=found.is_truncated,
        )

    with pytest.raises(DataError, match="got texts without token weights"):
        search_in_parts(embed_dense, queries, ["abc"], 5)
