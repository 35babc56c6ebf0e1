"""Outputs of chunks, put back into the order of the batch's sequences. Differentiable."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mgte.model import EmbeddingOutput, SparseWeights
from mgte.train.objectives.chunks import Chunk


def dense_in_order(
    outputs: Sequence[EmbeddingOutput], chunks: Sequence[Chunk], empty: Tensor
) -> Tensor:
    """Dense outputs of all sequences in their order.

    Args:
        outputs: Output of each chunk.
        chunks: Numbers of the sequences of each chunk.
        empty: What stands there where there is no sequence, `[0, dim]`.

    Returns:
        One row per sequence.
    """
    parts = [
        output.dense
        for output, chunk in zip(outputs, chunks, strict=True)
        if chunk and output.dense is not None
    ]
    if not parts:
        return empty
    return torch.cat(parts)[_places(chunks, parts[0].device)]


def sparse_in_order(
    outputs: Sequence[EmbeddingOutput], chunks: Sequence[Chunk], empty: Tensor
) -> SparseWeights:
    """Token weights of all sequences in their order.

    Args:
        outputs: Output of each chunk.
        chunks: Numbers of the sequences of each chunk.
        empty: What stands there where there is no sequence, `[0]`.

    Returns:
        Weights of all sequences.
    """
    parts = [
        output.sparse
        for output, chunk in zip(outputs, chunks, strict=True)
        if chunk and output.sparse is not None
    ]
    if not parts:
        nothing = torch.zeros(0, dtype=torch.int64, device=empty.device)
        return SparseWeights(
            token_ids=nothing,
            weights=empty,
            cu_terms=torch.zeros(1, dtype=torch.int32, device=empty.device),
        )
    lengths = torch.cat([part.cu_terms.diff() for part in parts]).long()
    joined = SparseWeights(
        token_ids=torch.cat([part.token_ids for part in parts]),
        weights=torch.cat([part.weights for part in parts]),
        cu_terms=_offsets(lengths),
    )
    return take_texts(joined, _places(chunks, lengths.device))


def take_texts(sparse: SparseWeights, texts: Tensor) -> SparseWeights:
    """Token weights of some texts, in the given order.

    Args:
        sparse: Weights of several texts.
        texts: Numbers of the wanted texts.

    Returns:
        Their weights.
    """
    lengths = sparse.cu_terms.diff().long()[texts]
    offsets = _offsets(lengths)
    shifts = sparse.cu_terms.long()[texts] - offsets[:-1].long()
    terms = torch.arange(int(offsets[-1]), device=texts.device) + shifts.repeat_interleave(lengths)
    return SparseWeights(
        token_ids=sparse.token_ids[terms], weights=sparse.weights[terms], cu_terms=offsets
    )


def _places(chunks: Sequence[Chunk], device: torch.device) -> Tensor:
    """Where each sequence stands when the chunks are laid end to end."""
    order = torch.tensor([number for chunk in chunks for number in chunk])
    return order.argsort().to(device)


def _offsets(lengths: Tensor) -> Tensor:
    return torch.nn.functional.pad(lengths.cumsum(0), (1, 0)).int()
