"""Outputs of chunks come back in the order of the batch."""

import torch

from mgte.model import EmbeddingOutput, SparseWeights
from mgte.train.objectives.outputs_in_order import dense_in_order, sparse_in_order, take_texts


def sparse_of(texts: list[list[int]]) -> SparseWeights:
    sizes = torch.tensor([0, *map(len, texts)])
    ids = torch.tensor([term for text in texts for term in text], dtype=torch.int64)
    return SparseWeights(token_ids=ids, weights=ids.float() + 0.5, cu_terms=sizes.cumsum(0).int())


def texts_of(sparse: SparseWeights) -> list[list[int]]:
    sizes = sparse.cu_terms.diff().tolist()
    assert torch.equal(sparse.weights, sparse.token_ids + 0.5)
    return [part.tolist() for part in sparse.token_ids.split(sizes)]


TEXTS = [[1, 2], [], [7], [3, 4, 5], [9]]
CHUNKS = [[3, 1], [4], [], [0, 2]]


def outputs() -> list[EmbeddingOutput]:
    """The last but one chunk is idle: its one row belongs to nobody."""
    return [
        EmbeddingOutput(
            dense=torch.tensor([[float(number)] for number in chunk or [99]]),
            sparse=sparse_of([TEXTS[number] for number in chunk] or [[42]]),
        )
        for chunk in CHUNKS
    ]


def test_dense_and_sparse_come_back_in_order() -> None:
    dense = dense_in_order(outputs(), CHUNKS, torch.zeros(0, 1))
    assert dense.flatten().tolist() == [0, 1, 2, 3, 4]
    assert texts_of(sparse_in_order(outputs(), CHUNKS, torch.zeros(0))) == TEXTS


def test_no_sequences() -> None:
    idle = [outputs()[2]]
    for found, chunks in ((idle, [[]]), ([], [])):
        assert dense_in_order(found, chunks, torch.zeros(0, 1)).shape == (0, 1)
        sparse = sparse_in_order(found, chunks, torch.zeros(0))
        assert sparse.cu_terms.tolist() == [0]


def test_some_texts() -> None:
    found = take_texts(sparse_of(TEXTS), torch.tensor([3, 1, 3, 0]))
    assert texts_of(found) == [[3, 4, 5], [], [3, 4, 5], [1, 2]]
    assert texts_of(take_texts(sparse_of(TEXTS), torch.arange(0))) == []
