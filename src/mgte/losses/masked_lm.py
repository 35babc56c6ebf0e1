"""Cross-entropy over the vocabulary at masked positions, whole or in chunks of the vocabulary.

Scores of all masked positions against a large vocabulary are the largest tensor of a masked-LM step
(16k tokens, 30 % masked, 250k entries: 4.9 GB). In chunks they never exist: the forward pass keeps
one logarithm of a sum per row, the backward pass computes each chunk again.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from mgte.losses.sums import LossSum

_Inputs = tuple[Tensor, Tensor, Tensor | None, Tensor]


def masked_lm_loss(
    states: Float[Tensor, "masked dim"],
    weight: Float[Tensor, "vocab dim"],
    bias: Float[Tensor, " vocab"] | None,
    labels: Int[Tensor, " masked"],
    *,
    vocabulary_chunk: int = 0,
) -> LossSum:
    """Sum of the cross-entropy of the tokens that were masked.

    Args:
        states: What the output layer reads, at masked positions only.
        weight: Output weight; the embedding table where it is tied.
        bias: Output bias.
        labels: The tokens that stood there.
        vocabulary_chunk: Entries whose scores exist at once; 0 means all.

    Returns:
        Sum over masked positions, in nats, and their number.
    """
    losses, _ = vocabulary_cross_entropy(
        states, weight, bias, labels, vocabulary_chunk=vocabulary_chunk
    )
    return LossSum(losses.sum(), labels.shape[0])


def vocabulary_cross_entropy(
    states: Float[Tensor, "masked dim"],
    weight: Float[Tensor, "vocab dim"],
    bias: Float[Tensor, " vocab"] | None,
    labels: Int[Tensor, " masked"],
    *,
    vocabulary_chunk: int = 0,
) -> tuple[Float[Tensor, " masked"], Int[Tensor, " masked"]]:
    """Cross-entropy of each masked position, and the entry with the highest score.

    Under autocast products are taken in its dtype, as a linear layer would; sums and logarithms are
    at least float32.

    Args:
        states: What the output layer reads, at masked positions only.
        weight: Output weight.
        bias: Output bias.
        labels: The tokens that stood there.
        vocabulary_chunk: Entries whose scores exist at once; 0 means all.

    Returns:
        Loss per position in nats, and predicted entry per position.
    """
    if 0 < vocabulary_chunk < weight.shape[0]:
        device = states.device.type
        dtype = states.dtype
        if torch.is_autocast_enabled(device):
            dtype = torch.get_autocast_dtype(device)
        run: Any = _ChunkedCrossEntropy.apply
        losses, predicted = run(states, weight, bias, labels, vocabulary_chunk, dtype)
        return losses, predicted
    scores = functional.linear(states, weight, bias)
    scores = scores.to(_exact(scores.dtype))
    losses = functional.cross_entropy(scores, labels, reduction="none")
    return losses, scores.detach().argmax(1)


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Never holds more than `[masked, chunk]` scores."""

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        labels: Tensor,
        chunk: int,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        exact = _exact(dtype)
        rows = labels.shape[0]
        log_sum = torch.full((rows,), -torch.inf, dtype=exact, device=states.device)
        best, target = log_sum.clone(), torch.zeros_like(log_sum)
        predicted = torch.zeros_like(labels)
        with torch.autocast(states.device.type, enabled=False):
            for start in range(0, weight.shape[0], chunk):
                scores = _scores((states, weight, bias, labels), start, chunk, dtype)
                log_sum = torch.logaddexp(log_sum, scores.logsumexp(1))
                chunk_best, entry = scores.max(1)
                predicted = torch.where(chunk_best > best, entry + start, predicted)
                best = torch.maximum(chunk_best, best)
                entry, is_inside = _local_labels(labels, start, scores.shape[1])
                own = scores.gather(1, entry[:, None]).squeeze(1)
                target = torch.where(is_inside, own, target)
        ctx.save_for_backward(states, weight, bias, labels, log_sum)
        ctx.chunk, ctx.dtype = chunk, dtype
        ctx.mark_non_differentiable(predicted)
        return log_sum - target, predicted

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        states, weight, bias, labels, log_sum = ctx.saved_tensors
        inputs: _Inputs = (states, weight, bias, labels)
        wants_states, wants_weight, wants_bias = ctx.needs_input_grad[:3]
        into_states = torch.zeros_like(states, dtype=log_sum.dtype) if wants_states else None
        into_weight = torch.empty_like(weight) if wants_weight else None
        into_bias = torch.empty_like(bias) if wants_bias else None
        low_states = states.to(ctx.dtype)
        with torch.autocast(states.device.type, enabled=False):
            for start in range(0, weight.shape[0], ctx.chunk):
                stop = start + ctx.chunk
                # Softmax minus one at the label, times what comes from above.
                slope = (_scores(inputs, start, ctx.chunk, ctx.dtype) - log_sum[:, None]).exp_()
                entry, is_inside = _local_labels(labels, start, slope.shape[1])
                slope.scatter_add_(1, entry[:, None], -is_inside[:, None].to(slope.dtype))
                slope.mul_(gradients[0][:, None])
                low = slope.to(ctx.dtype)
                if into_states is not None:
                    into_states += low @ weight[start:stop].to(ctx.dtype)
                if into_weight is not None:
                    into_weight[start:stop] = low.T @ low_states
                if into_bias is not None:
                    into_bias[start:stop] = slope.sum(0)
        if into_states is not None:
            into_states = into_states.to(states.dtype)
        return into_states, into_weight, into_bias, None, None, None


def _scores(inputs: _Inputs, start: int, chunk: int, dtype: torch.dtype) -> Tensor:
    """Scores of the entries from `start` on, `[masked, chunk]`."""
    states, weight, bias, _ = inputs
    scores = (states.to(dtype) @ weight[start : start + chunk].to(dtype).T).to(_exact(dtype))
    return scores if bias is None else scores + bias[start : start + chunk]


def _local_labels(labels: Tensor, start: int, size: int) -> tuple[Tensor, Tensor]:
    """Labels counted from `start`, kept inside the chunk, and which of them are inside."""
    entry = labels - start
    is_inside = (entry >= 0) & (entry < size)
    return entry.clamp(0, size - 1), is_inside


def _exact(dtype: torch.dtype) -> torch.dtype:
    """The dtype itself, but at least float32."""
    return torch.promote_types(dtype, torch.float32)
