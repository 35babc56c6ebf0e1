"""Sparse scores: nothing is as wide as the vocabulary."""

import torch
from tests.unit.losses.largest_tensor import LargestTensor

from mgte.losses import sparse_scores
from mgte.model import SparseWeights

VOCABULARY = 10_000_000


def made(texts: int, terms: int, seed: int) -> SparseWeights:
    """Texts with ids all over a large vocabulary, a few of them common."""
    generator = torch.Generator().manual_seed(seed)
    rare = torch.randint(100, VOCABULARY, (texts, terms - 3), generator=generator)
    ids = torch.cat([torch.arange(3).expand(texts, 3), rare.sort(1).values], 1)
    return SparseWeights(
        token_ids=ids.flatten(),
        weights=torch.rand(texts * terms, generator=generator).requires_grad_(),
        cu_terms=torch.arange(0, texts * terms + 1, terms).int(),
    )


def test_ten_million_token_ids_in_little_memory() -> None:
    queries, documents = made(50, 20, 0), made(200, 80, 1)
    with LargestTensor() as largest:
        scores = sparse_scores(queries, documents)
        scores.square().sum().backward()
    # Distinct ids of the queries times queries, or all terms of the documents.
    assert largest.entries <= 50 * 20 * 50
    assert queries.weights.grad.count_nonzero() >= 150
    assert documents.weights.grad.count_nonzero() >= 600


def test_blocks_change_nothing() -> None:
    found = []
    for table_entries in (1 << 24, 900, 1):
        queries, documents = made(12, 10, 0), made(9, 30, 1)
        with LargestTensor() as largest:
            scores = sparse_scores(queries, documents, table_entries=table_entries)
            scores.square().sum().backward()
        found.append((scores.detach(), queries.weights.grad, documents.weights.grad))
        assert largest.entries <= max(900, 9 * 30, 12 * 10) if table_entries == 900 else True
    for other in found[1:]:
        for one, same in zip(found[0], other, strict=True):
            torch.testing.assert_close(one, same)


def test_texts_without_terms_keep_the_graph() -> None:
    nothing = SparseWeights(
        token_ids=torch.zeros(0, dtype=torch.int64),
        weights=torch.zeros(0, requires_grad=True),
        cu_terms=torch.zeros(4, dtype=torch.int32),
    )
    some = made(2, 5, 0)
    for queries, documents, shape in (
        (nothing, some, (3, 2)),
        (some, nothing, (2, 3)),
        (nothing, nothing, (3, 3)),
    ):
        scores = sparse_scores(queries, documents)
        assert scores.shape == shape
        assert not scores.any()
        torch.autograd.grad(scores.sum(), [queries.weights, documents.weights], allow_unused=False)


def test_no_shared_terms_score_zero() -> None:
    one, other = made(2, 5, 0), made(3, 5, 1)
    apart = SparseWeights(
        token_ids=other.token_ids + VOCABULARY, weights=other.weights, cu_terms=other.cu_terms
    )
    scores = sparse_scores(one, apart)
    scores.sum().backward()
    assert not scores.any()
    assert not one.weights.grad.any()
