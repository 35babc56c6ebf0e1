"""Gradient cache: the gradient of a large batch, with the activations of one chunk at a time.

1. Every chunk passes through the model without gradients; the state of the random number generator
   before each is kept.
2. The loss is computed on the outputs of all chunks, and its gradient with respect to them.
3. Every chunk passes through the model again, with the same random numbers (the same dropout), and
   the gradient of its outputs is sent backwards.

It is the gradient of the batch in one piece but for kernels that round otherwise without gradients:
a sparse term that only one of the passes has, its weight being almost nothing, gets none.

A batch of one chunk keeps its activations from the first pass instead. Losses may gather from other
processes: that happens in step 2 only, forward and backward.

Source: GradCache, arXiv 2101.06983.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TypeVar

import torch
from torch import Tensor

from mgte.model import EmbeddingOutput, SparseWeights

T = TypeVar("T")
# Runs one chunk by its number.
Encode = Callable[[int], EmbeddingOutput]
# Surrounds one pass of the model; called with true for the last one that goes backwards.
Scope = Callable[[bool], AbstractContextManager[None]]


def backward_in_chunks(
    encode: Encode,
    num_chunks: int,
    loss: Callable[[Sequence[EmbeddingOutput]], tuple[Tensor, T]],
    *,
    scope: Scope,
    device: torch.device,
) -> T:
    """Add the gradient of a loss over the outputs of several chunks to the parameters' gradients.

    Args:
        encode: Runs a chunk; outputs in float32, which keeps the gradient between the passes exact
            under autocast too.
        num_chunks: How many there are; may be 0 where other processes hold all rows.
        loss: From the outputs of all chunks to a scalar that depends on them, and whatever else the
            caller wants to know.
        scope: Surrounds each pass.
        device: Where the model is.

    Returns:
        What `loss` returned beside the scalar.
    """
    if num_chunks <= 1:
        with scope(True):
            outputs = [encode(chunk) for chunk in range(num_chunks)]
            leaves = [_detached(output) for output in outputs]
            result = _backward_to_leaves(loss, leaves)
            for output, leaf in zip(outputs, leaves, strict=True):
                _send_back(output, leaf)
        return result
    states, leaves = [], []
    for chunk in range(num_chunks):
        states.append(_random_state(device))
        with scope(False), torch.no_grad():
            leaves.append(_detached(encode(chunk)))
    result = _backward_to_leaves(loss, leaves)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        for chunk, leaf in enumerate(leaves):
            _restore_random_state(states[chunk], device)
            with scope(chunk == num_chunks - 1):
                _send_back(encode(chunk), leaf)
    return result


def aligned_gradient(now: SparseWeights, before: SparseWeights, gradient: Tensor) -> Tensor:
    """Gradient of the weights of one pass, in the order of another pass.

    Both passes compute the same, but kernels may differ in the last bit with and without gradients,
    and a weight of almost nothing may be there in one pass and not in the other.

    Args:
        now: Weights of the second pass.
        before: Weights of the first pass.
        gradient: Gradient of the weights of the first pass.

    Returns:
        Gradient of the weights of the second pass; 0 for a term that the first pass did not have.
    """
    if now.token_ids.shape == before.token_ids.shape and torch.equal(
        _term_keys(now), _term_keys(before)
    ):
        return gradient
    if gradient.numel() == 0:
        return torch.zeros_like(now.weights)
    keys, known = _term_keys(now), _term_keys(before)
    place = torch.searchsorted(known, keys).clamp(max=known.shape[0] - 1)
    return torch.where(known[place] == keys, gradient[place], torch.zeros_like(now.weights))


def _term_keys(sparse: SparseWeights) -> Tensor:
    """One ascending number per (text, token id)."""
    numbers = torch.arange(sparse.cu_terms.shape[0] - 1, device=sparse.token_ids.device)
    text = numbers.repeat_interleave(sparse.cu_terms.diff().long())
    return (text << 32) + sparse.token_ids


def _detached(output: EmbeddingOutput) -> EmbeddingOutput:
    """The same numbers as the leaves of a new graph."""
    dense, sparse = output.dense, output.sparse
    if dense is not None:
        dense = dense.detach().requires_grad_()
    if sparse is not None:
        sparse = SparseWeights(
            token_ids=sparse.token_ids,
            weights=sparse.weights.detach().requires_grad_(),
            cu_terms=sparse.cu_terms,
        )
    return EmbeddingOutput(dense=dense, sparse=sparse)


def _backward_to_leaves(
    loss: Callable[[Sequence[EmbeddingOutput]], tuple[Tensor, T]],
    leaves: Sequence[EmbeddingOutput],
) -> T:
    total, result = loss(leaves)
    total.backward()
    return result


def _send_back(output: EmbeddingOutput, leaf: EmbeddingOutput) -> None:
    """Send the gradient of the leaves through the model."""
    tensors, gradients = [], []
    if output.dense is not None and leaf.dense is not None:
        tensors.append(output.dense)
        gradients.append(_gradient(leaf.dense))
    if output.sparse is not None and leaf.sparse is not None:
        gradient = _gradient(leaf.sparse.weights)
        tensors.append(output.sparse.weights)
        gradients.append(aligned_gradient(output.sparse, leaf.sparse, gradient))
    torch.autograd.backward(tensors, gradients)


def _gradient(leaf: Tensor) -> Tensor:
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def _random_state(device: torch.device) -> tuple[Tensor, Tensor | None]:
    on_device = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return torch.get_rng_state(), on_device


def _restore_random_state(state: tuple[Tensor, Tensor | None], device: torch.device) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1], device)
