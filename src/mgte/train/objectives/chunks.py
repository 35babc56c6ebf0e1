"""Sequences of a batch, in chunks that fit into one pass of the model."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from mgte.data import TokenArray
from mgte.losses import LossSum
from mgte.model import EmbeddingModel, EmbeddingOutput, SparseWeights
from mgte.packing import PackedBatch, pack, plan_batches
from mgte.train.objectives.objective import StepContext

# Numbers of sequences that pass through the model together. A chunk without numbers is a pass that
# this process makes only because others do.
Chunk = list[int]


def plan_chunks(lengths: Sequence[int], context: StepContext) -> list[Chunk]:
    """Divide sequences into passes of at most `tokens_per_chunk` tokens.

    Args:
        lengths: Tokens of each sequence.
        context: Memory and processes.

    Returns:
        Chunks; as many on every process where that is needed.
    """
    chunks = plan_batches(lengths, max_tokens=context.tokens_per_chunk)
    idle = context.parallel.equal_count(len(chunks)) - len(chunks)
    return [*chunks, *([] for _ in range(idle))]


def pack_chunk(
    sequences: Sequence[TokenArray],
    chunk: Chunk,
    device: torch.device,
    token_types: Sequence[TokenArray] | None = None,
) -> PackedBatch:
    """The sequences of a chunk as one packed batch; one token for an idle chunk.

    Args:
        sequences: Token ids of all sequences of the batch.
        chunk: Numbers of those that travel.
        device: Where to.
        token_types: Token types of all sequences.

    Returns:
        The packed batch.
    """
    if not chunk:
        return pack([[0]], token_type_ids=None if token_types is None else [[0]], device=device)
    types = None if token_types is None else [token_types[number] for number in chunk]
    return pack([sequences[number] for number in chunk], token_type_ids=types, device=device)


def autocast(context: StepContext) -> AbstractContextManager[None]:
    """Matrix products in the type of the step.

    Entered for each pass anew: weights that were cast without gradients must not be used again in a
    pass with gradients.
    """
    is_on = context.autocast is not None
    return torch.autocast(context.world.device.type, dtype=context.autocast, enabled=is_on)


def scope_of(
    context: StepContext, *, is_last: bool = True
) -> Callable[[bool], AbstractContextManager[None]]:
    """The scope of a pass, by whether it ends the batch's backward passes.

    Args:
        context: The step.
        is_last: Whether nothing of the batch follows.

    Returns:
        From "is the last of these passes" to a context manager.
    """

    def scope(ends: bool) -> AbstractContextManager[None]:
        return context.parallel.backward_scope(is_last=ends and is_last and context.is_last)

    return scope


def backward_per_chunk(
    chunks: Sequence[Chunk],
    step: Callable[[Chunk], tuple[Tensor, dict[str, LossSum]]],
    context: StepContext,
) -> dict[str, LossSum]:
    """Forward and backward of chunks whose losses do not depend on each other.

    Args:
        chunks: The chunks.
        step: From a chunk to the scalar whose gradient is wanted, and the terms to report.
        context: The step.

    Returns:
        Sums of the terms over the chunks.
    """
    terms: dict[str, LossSum] = {}
    scope = scope_of(context)
    for number, chunk in enumerate(chunks):
        with scope(number == len(chunks) - 1):
            total, found = step(chunk)
            total.backward()
        terms = add_terms(terms, found)
    return terms


def add_terms(first: dict[str, LossSum], second: dict[str, LossSum]) -> dict[str, LossSum]:
    """Add sums and counts by name.

    Args:
        first: Terms; may be empty.
        second: Terms.

    Returns:
        Detached sums.
    """
    added = dict(first)
    for name, term in second.items():
        total, count = term.total.detach(), term.count
        if name in first:
            total, count = first[name].total + total, first[name].count + count
        added[name] = LossSum(total, count)
    return added


def encode_chunk(
    model: EmbeddingModel, batch: PackedBatch, context: StepContext, *, dense: bool, sparse: bool
) -> EmbeddingOutput:
    """One pass of an embedding model, outputs in float32.

    Args:
        model: The model.
        batch: A chunk.
        context: The step.
        dense: Whether dense vectors are wanted.
        sparse: Whether token weights are wanted.

    Returns:
        What was asked for, from the same pass.
    """
    with autocast(context):
        output = model(batch, dense=dense, sparse=sparse)
    weights = output.sparse
    if weights is not None:
        weights = SparseWeights(
            token_ids=weights.token_ids,
            weights=weights.weights.float(),
            cu_terms=weights.cu_terms,
        )
    vectors = None if output.dense is None else output.dense.float()
    return EmbeddingOutput(dense=vectors, sparse=weights)
