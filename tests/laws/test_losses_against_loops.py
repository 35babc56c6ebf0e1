"""Every loss equals the same formula written as loops, gradients equal finite differences."""

import numpy as np
import pytest
import torch
from tests.laws import loss_loops

from mgte.losses import (
    PairColumns,
    PairMasks,
    PairTexts,
    binary_cross_entropy,
    cosine_distance,
    dense_blocks,
    either_left_out,
    info_nce,
    left_out_by_margin,
    left_out_by_text,
    listwise_cross_entropy,
    margin_squared_error,
    masked_lm_loss,
    matryoshka,
    prefix,
    ranking_divergence,
    similarity_divergence,
    sparse_scores,
    squared_error,
)
from mgte.model import SparseWeights

FORMS = ["query_to_document", "two_directions", "joint"]
FILTERS = [(False, None), (True, None), (False, 0.1), (True, 0.0), (True, -5.0)]


def exactly(value: float) -> object:
    return pytest.approx(value, rel=1e-10, abs=1e-10)


def made_pairs(seed: int, count: int = 6):
    """Ragged documents, with equal texts among queries and documents, and ties among scores."""
    generator = np.random.default_rng(seed)
    offsets = np.concatenate([[0], generator.integers(1, 4, count).cumsum()])
    queries = generator.normal(size=(count, 5))
    documents = generator.normal(size=(offsets[-1], 5))
    documents[-1] = documents[0]
    query_hashes = generator.integers(0, count, count)
    document_hashes = generator.integers(0, len(documents), len(documents))
    return offsets, queries, documents, query_hashes, document_hashes


def our_info_nce(made, rows, form, temperature, duplicates, margin) -> torch.Tensor:
    """Our loss of some rows of a batch."""
    offsets, queries, documents, query_hashes, document_hashes = made
    starts = torch.tensor(offsets[:-1])
    owners = torch.arange(len(starts)).repeat_interleave(torch.tensor(offsets).diff())
    texts = PairTexts(
        queries=torch.tensor(query_hashes),
        documents=torch.tensor(document_hashes),
        owners=owners,
        positives=starts,
    )
    own = torch.tensor(rows)
    columns = PairColumns(positives=starts[own], own=own)
    q, d = torch.as_tensor(queries), torch.as_tensor(documents)
    blocks = dense_blocks(q[own], d[starts[own]], q, d, starts, form=form)
    masks = left_out_by_text(texts, columns, form=form) if duplicates else PairMasks()
    if margin is not None:
        masks = either_left_out(masks, left_out_by_margin(blocks, columns, margin))
    loss = info_nce(blocks, columns, form=form, temperature=temperature, left_out=masks)
    assert loss.count == len(rows)
    return loss.total


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("filters", FILTERS)
@pytest.mark.parametrize("temperature", [0.01, 1.0, 50.0])
def test_info_nce(form, filters, temperature) -> None:
    duplicates, margin = filters
    for seed in range(4):
        made = made_pairs(seed)
        pairs = loss_loops.Pairs(made[0], *made[3:], duplicates=duplicates, margin=margin)
        wanted = loss_loops.info_nce(made[1], made[2], pairs, form, temperature)
        parts = [
            our_info_nce(made, rows, form, temperature, duplicates, margin)
            for rows in ([0, 1, 2], [3], [4, 5])
        ]
        assert float(sum(parts)) == exactly(wanted)


@pytest.mark.parametrize("form", FORMS)
def test_gradient_of_info_nce(form) -> None:
    made = made_pairs(0, count=3)

    def loss(queries, documents):
        parts = (made[0], queries, documents, *made[3:])
        return our_info_nce(parts, [0, 1, 2], form, 0.5, duplicates=True, margin=None)

    vectors = [torch.tensor(part, requires_grad=True) for part in made[1:3]]
    assert torch.autograd.gradcheck(loss, vectors)


def test_info_nce_of_elastic_vectors() -> None:
    offsets, queries, documents, *hashes = made_pairs(1)
    pairs = loss_loops.Pairs(offsets, *hashes, duplicates=True, margin=None)
    wanted = 0.0
    for width, weight in ((2, 0.3), (5, 2.0)):
        cut = [
            np.stack([loss_loops.unit(v[:width]) for v in part]) for part in (queries, documents)
        ]
        wanted += weight * loss_loops.info_nce(*cut, pairs, "joint", 0.1)

    def loss_at(width):
        from mgte.losses import LossSum

        cut = [prefix(torch.tensor(part), width) for part in (queries, documents)]
        made = (offsets, *cut, *hashes)
        rows = list(range(6))
        return LossSum(our_info_nce(made, rows, "joint", 0.1, duplicates=True, margin=None), 6)

    assert float(matryoshka(loss_at, (2, 5), (0.3, 2.0)).total) == exactly(wanted)


def made_sparse(generator: np.random.Generator, count: int) -> list[dict[int, float]]:
    """Texts with 0 to 7 of 20 token ids."""
    return [
        {
            int(term): float(generator.random())
            for term in generator.choice(20, generator.integers(0, 8), replace=False)
        }
        for _ in range(count)
    ]


def packed(texts: list[dict[int, float]]) -> SparseWeights:
    terms = [(term, text[term]) for text in texts for term in sorted(text)]
    sizes = torch.tensor([0, *(len(text) for text in texts)])
    return SparseWeights(
        token_ids=torch.tensor([term for term, _ in terms], dtype=torch.int64),
        weights=torch.tensor([weight for _, weight in terms], dtype=torch.float64),
        cu_terms=sizes.cumsum(0).int(),
    )


@pytest.mark.parametrize("table_entries", [1, 40, 1 << 20])
def test_sparse_scores(table_entries) -> None:
    generator = np.random.default_rng(0)
    for num_queries, num_documents in ((7, 9), (1, 3), (5, 0), (0, 4)):
        queries, documents = (made_sparse(generator, n) for n in (num_queries, num_documents))
        found = sparse_scores(packed(queries), packed(documents), table_entries=table_entries)
        wanted = loss_loops.sparse_scores(queries, documents)
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-12)


@pytest.mark.parametrize("table_entries", [1, 1 << 20])
def test_gradient_of_sparse_scores(table_entries) -> None:
    generator = np.random.default_rng(1)
    queries, documents = packed(made_sparse(generator, 4)), packed(made_sparse(generator, 5))

    def scores(query_weights, document_weights):
        pair = [
            SparseWeights(token_ids=s.token_ids, weights=w, cu_terms=s.cu_terms)
            for s, w in ((queries, query_weights), (documents, document_weights))
        ]
        return sparse_scores(*pair, table_entries=table_entries)

    weights = [part.weights.requires_grad_() for part in (queries, documents)]
    assert torch.autograd.gradcheck(scores, weights)


@pytest.mark.parametrize("vocabulary_chunk", [0, 1, 4, 11, 100])
def test_masked_lm_loss(vocabulary_chunk) -> None:
    generator = np.random.default_rng(2)
    states, weight = generator.normal(size=(5, 3)), generator.normal(size=(11, 3))
    bias, labels = generator.normal(size=11), np.array([0, 10, 4, 4, 3])
    inputs = [torch.tensor(part, requires_grad=True) for part in (states, weight, bias)]
    loss = masked_lm_loss(*inputs, torch.tensor(labels), vocabulary_chunk=vocabulary_chunk)
    assert float(loss.total.detach()) == exactly(
        loss_loops.cross_entropy(states, weight, bias, labels)
    )
    assert loss.count == 5
    assert torch.autograd.gradcheck(
        lambda *parts: (
            masked_lm_loss(*parts, torch.tensor(labels), vocabulary_chunk=vocabulary_chunk).total
        ),
        inputs,
    )


OFFSETS = torch.tensor([0, 3, 3, 4, 9, 11])
NAN = float("nan")


def made_lists(seed: int):
    generator = np.random.default_rng(seed)
    scores = generator.normal(size=11)
    scores[4] = scores[5]
    labels = np.array([1, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0], dtype=np.float64)
    teacher = np.array([1, NAN, 2, 3, NAN, 1, 1, NAN, 0.5, 2, 1], dtype=np.float64)
    return scores, labels, teacher


LISTS = {
    "listwise": (
        lambda s, y, t: listwise_cross_entropy(s, y, OFFSETS, temperature=0.3),
        lambda s, y, t: loss_loops.listwise(s, y, OFFSETS, 0.3),
    ),
    "binary": (
        lambda s, y, t: binary_cross_entropy(s, y, OFFSETS),
        lambda s, y, t: loss_loops.binary(s, y, OFFSETS),
    ),
    "squared": (
        lambda s, y, t: squared_error(s, t, OFFSETS),
        lambda s, y, t: loss_loops.squared(s, t, OFFSETS),
    ),
    "margins": (
        lambda s, y, t: margin_squared_error(s, t, OFFSETS),
        lambda s, y, t: loss_loops.margins(s, t, OFFSETS),
    ),
    "ranking": (
        lambda s, y, t: ranking_divergence(
            s, t, OFFSETS, student_temperature=0.2, teacher_temperature=1.5
        ),
        lambda s, y, t: loss_loops.ranking(s, t, OFFSETS, 0.2, 1.5),
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_losses_of_ragged_lists(name) -> None:
    ours, loops = LISTS[name]
    for seed in range(5):
        scores, labels, teacher = made_lists(seed)
        found = ours(*(torch.tensor(part) for part in (scores, labels, teacher)))
        total, count = loops(scores, labels, teacher)
        assert float(found.total) == exactly(total)
        assert found.count == count


@pytest.mark.parametrize("name", LISTS)
def test_gradients_of_ragged_lists(name) -> None:
    ours, _ = LISTS[name]
    scores, *others = (torch.tensor(part) for part in made_lists(9))
    assert torch.autograd.gradcheck(lambda s: ours(s, *others).total, [scores.requires_grad_()])


def test_distances_of_vectors() -> None:
    generator = np.random.default_rng(3)
    students, teachers = generator.normal(size=(6, 4)), generator.normal(size=(6, 7))
    s, t = (torch.nn.functional.normalize(torch.tensor(part)) for part in (students, teachers))
    rows = torch.tensor([1, 4, 5])
    found = similarity_divergence((s[rows], s), (t[rows], t), rows, temperature=0.1)
    assert float(found.total) == exactly(loss_loops.similarity(students, teachers, [1, 4, 5], 0.1))
    assert found.count == 3
    cosines = [
        float(loss_loops.unit(a) @ loss_loops.unit(b[:4]))
        for a, b in zip(students, teachers, strict=True)
    ]
    found = cosine_distance(torch.tensor(students), torch.tensor(teachers[:, :4]))
    assert float(found.total) == exactly(sum(1 - cosine for cosine in cosines))
