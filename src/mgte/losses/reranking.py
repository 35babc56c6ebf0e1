"""Losses over each query's own candidates, lists of any length laid end to end.

Every query counts once, however many candidates it has: losses per pair are averaged inside a query
first. So all of them can be added up and divided by the number of queries.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from mgte.losses.ragged import list_of_item, to_table
from mgte.losses.sums import LossSum


def listwise_cross_entropy(
    scores: Float[Tensor, " candidates"],
    labels: Float[Tensor, " candidates"],
    offsets: Int[Tensor, " queries_plus_1"],
    *,
    temperature: float = 1.0,
) -> LossSum:
    """Cross-entropy of the softmax over a query's candidates; several positives share the target.

    Args:
        scores: Score of each candidate.
        labels: 1 for a positive, 0 for a negative.
        offsets: Where each query's candidates start, and the total.
        temperature: Divides scores.

    Returns:
        Sum over queries that have a positive, and their number.

    Source: mGTE, arXiv 2407.19669, section 2.4 (one positive).
    """
    table = to_table(scores / temperature, offsets, -torch.inf)
    targets = to_table(labels.to(scores.dtype), offsets, 0.0)
    num_positives = targets.sum(1)
    has_positive = num_positives > 0
    # Only lists with a positive, which are never empty: an empty one has no softmax.
    table, targets = table[has_positive], targets[has_positive]
    shares = targets / num_positives[has_positive][:, None]
    own = table.masked_fill(targets == 0, 0.0)
    losses = table.logsumexp(1) - (shares * own).sum(1)
    return LossSum(losses.sum(), losses.shape[0])


def binary_cross_entropy(
    scores: Float[Tensor, " candidates"],
    labels: Float[Tensor, " candidates"],
    offsets: Int[Tensor, " queries_plus_1"],
) -> LossSum:
    """Binary cross-entropy of each candidate's label, averaged inside each query.

    Args:
        scores: Score of each candidate, a logit.
        labels: 1 for a positive, 0 for a negative.
        offsets: Where each query's candidates start, and the total.

    Returns:
        Sum over queries that have candidates, and their number.
    """
    losses = functional.binary_cross_entropy_with_logits(
        scores, labels.to(scores.dtype), reduction="none"
    )
    return sum_of_means(losses, torch.ones_like(losses, dtype=torch.bool), offsets)


def squared_error(
    scores: Float[Tensor, " candidates"],
    targets: Float[Tensor, " candidates"],
    offsets: Int[Tensor, " queries_plus_1"],
) -> LossSum:
    """Squared error of each candidate that has a target, averaged inside each query.

    Args:
        scores: Score of each candidate.
        targets: What it should be; NaN where that is not known.
        offsets: Where each query's candidates start, and the total.

    Returns:
        Sum over queries that have a target, and their number.
    """
    is_known = ~targets.isnan()
    wanted = torch.where(is_known, targets.to(scores.dtype), scores.detach())
    return sum_of_means((scores - wanted).square(), is_known, offsets)


def positive_leads(
    scores: Float[Tensor, " candidates"],
    labels: Float[Tensor, " candidates"],
    offsets: Int[Tensor, " queries_plus_1"],
) -> LossSum:
    """For how many queries a positive scores above every negative.

    Args:
        scores: Score of each candidate.
        labels: 1 for a positive, 0 for a negative.
        offsets: Where each query's candidates start, and the total.

    Returns:
        Number of such queries, and of all; a tie is not above.
    """
    scores = scores.detach()
    positives = to_table(scores.masked_fill(labels == 0, -torch.inf), offsets, -torch.inf)
    negatives = to_table(scores.masked_fill(labels != 0, -torch.inf), offsets, -torch.inf)
    return LossSum((positives.amax(1) > negatives.amax(1)).sum(), offsets.shape[0] - 1)


def sum_of_means(
    losses: Float[Tensor, " items"], is_counted: Tensor, offsets: Int[Tensor, " queries_plus_1"]
) -> LossSum:
    """Mean over the items of each query that count, summed over queries.

    Args:
        losses: Loss of each item.
        is_counted: Which items count.
        offsets: Where each query's items start, and the total.

    Returns:
        Sum over queries with an item that counts, and their number.
    """
    query = list_of_item(offsets)
    counts = losses.new_zeros(offsets.shape[0] - 1)
    counts = counts.index_add(0, query, is_counted.to(losses.dtype))
    weights = is_counted / counts.clamp(min=1)[query]
    return LossSum((losses * weights).sum(), int((counts > 0).sum()))
