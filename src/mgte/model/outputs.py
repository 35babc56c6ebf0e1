"""What models return: dense vectors and sparse token weights, as tensors."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Int32
from torch import Tensor

from mgte.packing import PackedBatch, sequence_of_token


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SparseWeights:
    """One weight per distinct token of each sequence, end to end.

    Attributes:
        token_ids: Token ids, ascending inside a sequence.
        weights: Their weights, at least 0.
        cu_terms: Where each sequence starts, and the total.
    """

    token_ids: Int[Tensor, " terms"]
    weights: Float[Tensor, " terms"]
    cu_terms: Int32[Tensor, " seqs_plus_1"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class EmbeddingOutput:
    """What one pass of an embedding model gives.

    Attributes:
        dense: Pooled state of each sequence, not normalised; None if not asked for.
        sparse: Token weights; None if not asked for.
    """

    dense: Float[Tensor, "seqs dim"] | None
    sparse: SparseWeights | None


def sparse_weights(
    logits: Float[Tensor, " tokens"],
    batch: PackedBatch,
    *,
    skip_ids: tuple[int, ...],
    vocab_size: int,
) -> SparseWeights:
    """ReLU, then the largest weight per distinct token id; special tokens left out.

    No (sequences, vocabulary) tensor is built: distinct (sequence, id) pairs are numbered and
    reduced by maximum. Differentiable in `logits`.

    Args:
        logits: Score of each token.
        batch: The tokens.
        skip_ids: Token ids that carry no weight (special tokens).
        vocab_size: Number of token ids.

    Returns:
        Weights above 0 only.

    Source: mGTE, arXiv 2407.19669, section 2.3; GTE `gte_embedding.py`.
    """
    keys = sequence_of_token(batch) * vocab_size + batch.input_ids
    terms, term_of_token = keys.unique(return_inverse=True)
    weights = torch.zeros(terms.shape[0], dtype=logits.dtype, device=logits.device)
    weights = weights.scatter_reduce(0, term_of_token, logits.relu(), "amax")
    token_ids = terms % vocab_size
    is_kept = weights > 0
    if skip_ids:
        special = torch.tensor(skip_ids, device=token_ids.device)
        is_kept &= ~torch.isin(token_ids, special)
    counts = torch.bincount(terms[is_kept] // vocab_size, minlength=len(batch))
    cu_terms = torch.nn.functional.pad(counts.cumsum(0), (1, 0)).int()
    return SparseWeights(token_ids=token_ids[is_kept], weights=weights[is_kept], cu_terms=cu_terms)
