"""Filters of false negatives never remove a pair's own positive."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from mgte.losses import (
    PairBlocks,
    PairColumns,
    PairMasks,
    PairTexts,
    either_left_out,
    left_out_by_margin,
    left_out_by_text,
)


def texts_of(queries: list[int], counts: list[int], documents: list[int]) -> PairTexts:
    sizes = torch.tensor(counts)
    return PairTexts(
        queries=torch.tensor(queries),
        documents=torch.tensor(documents),
        owners=torch.arange(len(counts)).repeat_interleave(sizes),
        positives=sizes.cumsum(0) - sizes,
    )


def columns_of(texts: PairTexts) -> PairColumns:
    own = torch.arange(len(texts.queries))
    return PairColumns(positives=texts.positives, own=own)


@given(st.lists(st.integers(1, 3), min_size=1, max_size=5), st.integers(1, 3), st.randoms())
def test_the_positive_stays(counts, variety, random) -> None:
    queries = [random.randrange(variety) for _ in counts]
    documents = [random.randrange(variety) for _ in range(sum(counts))]
    texts = texts_of(queries, counts, documents)
    columns, rows = columns_of(texts), torch.arange(len(counts))
    masks = left_out_by_text(texts, columns, form="joint")
    scores = torch.randn(len(counts), len(documents))
    square = torch.randn(len(counts), len(counts))
    blocks = PairBlocks(
        query_document=scores, document_query=square, query_query=square, document_document=square
    )
    masks = either_left_out(masks, left_out_by_margin(blocks, columns, -100.0))
    assert not masks.query_document[rows, texts.positives].any()
    for mask in (masks.document_query, masks.query_query, masks.document_document):
        assert not mask[rows, rows].any()
    # A margin that low leaves out everything else.
    assert int(masks.query_document.sum()) == scores.numel() - len(counts)


def test_equal_texts() -> None:
    # Query 2 repeats query 0; document 3 (a hard negative of 1) repeats the positive of 0.
    texts = texts_of([7, 8, 7], [2, 2, 2], [10, 11, 12, 10, 13, 14])
    masks = left_out_by_text(texts, columns_of(texts), form="two_directions")
    assert masks.query_document.int().tolist() == [
        [0, 0, 0, 1, 1, 1],
        [0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
    ]
    assert masks.document_query.int().tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 0]]
    assert masks.query_query is None


def test_own_hard_negatives_stay_unless_they_are_the_positive() -> None:
    texts = texts_of([7, 8], [3, 1], [10, 11, 10, 12])
    masks = left_out_by_text(texts, columns_of(texts), form="query_to_document")
    assert masks.query_document.int().tolist() == [[0, 0, 1, 0], [0, 0, 0, 0]]


def test_margin_is_strict_and_has_no_gradient() -> None:
    scores = torch.tensor([[0.5, 0.75, 0.6], [0.0, 0.5, 0.9]], requires_grad=True)
    columns = PairColumns(positives=torch.tensor([0, 1]), own=torch.tensor([0, 1]))
    masks = left_out_by_margin(PairBlocks(query_document=scores), columns, 0.25)
    assert masks.query_document.int().tolist() == [[0, 0, 0], [0, 0, 1]]


def test_union_with_nothing() -> None:
    some = PairMasks(query_document=torch.tensor([True]))
    assert either_left_out(PairMasks(), some).query_document is some.query_document
    assert either_left_out(some, PairMasks()).query_document is some.query_document
