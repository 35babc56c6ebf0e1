"""Inner products of sparse token weights: the sum of w_q * w_d over token ids that both have.

Nothing here is as wide as the vocabulary. The ids that occur in a block of queries are numbered,
and documents pick from a table of those ids only.
"""

from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

# Entries of the (ids of a block, queries of a block) table that may exist at once: 64 MiB.
TABLE_ENTRIES = 1 << 24


class TermWeights(Protocol):
    """Token weights of several texts, end to end, as a model's sparse head gives them."""

    @property
    def token_ids(self) -> Int[Tensor, " terms"]:
        """Token ids, distinct inside a text."""
        ...

    @property
    def weights(self) -> Float[Tensor, " terms"]:
        """Their weights."""
        ...

    @property
    def cu_terms(self) -> Int[Tensor, " texts_plus_1"]:
        """Where each text starts, and the total."""
        ...


def sparse_scores(
    queries: TermWeights, documents: TermWeights, *, table_entries: int = TABLE_ENTRIES
) -> Float[Tensor, "queries documents"]:
    """Scores of every query against every document, differentiable in both weights.

    Time grows with (terms of documents) times queries; memory beyond the result with
    `table_entries`, as tables are built again in the backward pass.

    Args:
        queries: Weights of the queries.
        documents: Weights of the documents.
        table_entries: Largest table; queries are taken in blocks that keep to it where more than
            one query is in a block.

    Returns:
        Inner products; 0 where nothing is shared.

    Source: mGTE, arXiv 2407.19669, section 2.3.
    """
    starts = queries.cu_terms.tolist()
    blocks = _blocks(starts, table_entries)
    if len(blocks) <= 1:
        return _block_scores(queries.weights, documents.weights, queries, documents, (0, None))
    rows = [
        checkpoint(
            _block_scores,
            queries.weights,
            documents.weights,
            queries,
            documents,
            block,
            use_reentrant=False,
            preserve_rng_state=False,
        )
        for block in blocks
    ]
    return torch.cat(rows)


def _blocks(starts: list[int], table_entries: int) -> list[tuple[int, int]]:
    """Runs of queries whose number times number of terms keeps to the limit."""
    blocks, first = [], 0
    for last in range(1, len(starts)):
        is_too_large = (last - first) * (starts[last] - starts[first]) > table_entries
        if is_too_large and last - 1 > first:
            blocks.append((first, last - 1))
            first = last - 1
    if len(starts) - 1 > first:
        blocks.append((first, len(starts) - 1))
    return blocks


def _block_scores(
    query_weights: Tensor,
    document_weights: Tensor,
    queries: TermWeights,
    documents: TermWeights,
    block: tuple[int, int | None],
) -> Tensor:
    """Scores of a run of queries."""
    first, last = block
    cu_terms = queries.cu_terms.long()[first : None if last is None else last + 1]
    terms = slice(int(cu_terms[0]), int(cu_terms[-1]))
    num_queries, num_documents = cu_terms.shape[0] - 1, documents.cu_terms.shape[0] - 1
    known, place = queries.token_ids[terms].unique(return_inverse=True)
    if known.numel() == 0:
        # Zeros that still depend on the weights, so that every process has the same graph.
        nothing = query_weights.sum() * 0.0 + document_weights.sum() * 0.0
        return nothing.expand(num_queries, num_documents)
    row = torch.arange(num_queries, device=place.device).repeat_interleave(cu_terms.diff())
    table = query_weights.new_zeros(known.shape[0], num_queries)
    table = table.index_put((place, row), query_weights[terms], accumulate=True)
    found = torch.searchsorted(known, documents.token_ids).clamp_(max=known.shape[0] - 1)
    is_shared = known[found] == documents.token_ids
    counted = functional.pad(is_shared.long().cumsum(0), (1, 0))
    scores = functional.embedding_bag(
        found[is_shared],
        table,
        counted[documents.cu_terms.long()],
        per_sample_weights=document_weights[is_shared],
        mode="sum",
        include_last_offset=True,
    )
    return scores.T
