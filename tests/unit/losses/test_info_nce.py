"""InfoNCE at its edges: one pair, no pair, ties, extreme temperatures."""

import pytest
import torch

from mgte.losses import (
    PairBlocks,
    PairColumns,
    PairMasks,
    dense_blocks,
    info_nce,
    positive_is_first,
)

FORMS = ["query_to_document", "two_directions", "joint"]


def blocks_of(queries: torch.Tensor, documents: torch.Tensor, form: str) -> PairBlocks:
    starts = torch.arange(len(queries))
    return dense_blocks(queries, documents[starts], queries, documents, starts, form=form)


def columns_of(count: int) -> PairColumns:
    return PairColumns(positives=torch.arange(count), own=torch.arange(count))


@pytest.mark.parametrize("form", FORMS)
def test_a_single_pair_has_a_finite_gradient(form) -> None:
    queries = torch.randn(1, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    scores = blocks_of(queries, torch.ones(1, 4), form)
    loss = info_nce(scores, columns_of(1), form=form, temperature=0.01)
    loss.total.backward()
    # The joint form counts the positive twice: log 2.
    wanted = torch.tensor(2.0).log().item() if form == "joint" else 0.0
    assert loss.total.item() == pytest.approx(wanted, abs=1e-5)
    assert queries.grad.isfinite().all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("num_documents", [0, 3])
def test_no_pairs_give_zero_with_a_gradient(form, num_documents) -> None:
    documents = torch.randn(num_documents, 4).requires_grad_()
    queries = torch.zeros(0, 4, requires_grad=True)
    nothing = torch.arange(0)
    scores = dense_blocks(
        queries, queries, documents, documents, torch.arange(num_documents), form=form
    )
    columns = PairColumns(positives=nothing, own=nothing)
    loss = info_nce(scores, columns, form=form, temperature=0.01)
    loss.total.backward()
    assert (loss.total.item(), loss.count) == (0.0, 0)
    assert not documents.grad.any()
    assert positive_is_first(scores.query_document, columns).count == 0


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("temperature", [1e-4, 1e4])
def test_extreme_temperatures_stay_finite(form, temperature) -> None:
    generator = torch.Generator().manual_seed(0)
    queries = torch.randn(5, 4, generator=generator).requires_grad_()
    scores = blocks_of(queries, torch.randn(7, 4, generator=generator), form)
    loss = info_nce(scores, columns_of(5), form=form, temperature=temperature)
    loss.total.backward()
    assert loss.total.isfinite()
    assert queries.grad.isfinite().all()


@pytest.mark.parametrize("form", FORMS)
def test_everything_left_out_but_the_positive(form) -> None:
    scores = blocks_of(torch.eye(3).requires_grad_(), torch.eye(3), form)
    left_out = ~torch.eye(3, dtype=torch.bool)
    masks = PairMasks(
        query_document=left_out,
        document_query=left_out,
        query_query=left_out,
        document_document=left_out,
    )
    loss = info_nce(scores, columns_of(3), form=form, temperature=0.1, left_out=masks)
    loss.total.backward()
    wanted = 3 * torch.tensor(2.0).log().item() if form == "joint" else 0.0
    assert loss.total.item() == pytest.approx(wanted, abs=1e-5)


def test_a_tie_is_not_first() -> None:
    scores = torch.tensor([[1.0, 1.0, 0.0], [0.0, 2.0, 1.0], [3.0, 0.0, 2.0]])
    assert positive_is_first(scores, columns_of(3)).total == 1
    left_out = torch.tensor([[False, True, False], [False] * 3, [True, False, False]])
    found = positive_is_first(scores, columns_of(3), left_out)
    assert (int(found.total), found.count) == (3, 3)
