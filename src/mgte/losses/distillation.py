"""Teacher's scores as a target, over each query's own candidates; NaN where it gave none."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mgte.losses.ragged import list_of_item, to_table
from mgte.losses.reranking import sum_of_means
from mgte.losses.sums import LossSum


def ranking_divergence(
    scores: Float[Tensor, " candidates"],
    teacher: Float[Tensor, " candidates"],
    offsets: Int[Tensor, " queries_plus_1"],
    *,
    student_temperature: float,
    teacher_temperature: float,
) -> LossSum:
    """KL(teacher || student) between softmax distributions over a query's candidates.

    Args:
        scores: Student's scores.
        teacher: Teacher's scores; candidates with NaN are left out of both distributions.
        offsets: Where each query's candidates start, and the total.
        student_temperature: Divides the student's scores.
        teacher_temperature: Divides the teacher's scores.

    Returns:
        Sum over queries with at least two teacher's scores (with fewer there is nothing to rank),
        and their number.
    """
    known = to_table((~teacher.isnan()).to(scores.dtype), offsets, 0.0) > 0
    is_ranked = known.sum(1) >= 2
    known = known[is_ranked]
    targets = to_table(teacher.to(scores.dtype).nan_to_num(), offsets, 0.0)[is_ranked]
    table = to_table(scores, offsets, 0.0)[is_ranked]
    log_targets = _log_softmax(targets / teacher_temperature, known)
    log_student = _log_softmax(table / student_temperature, known)
    losses = (log_targets.exp() * known * (log_targets - log_student)).sum(1)
    return LossSum(losses.sum(), losses.shape[0])


def margin_squared_error(
    scores: Float[Tensor, " candidates"],
    teacher: Float[Tensor, " candidates"],
    offsets: Int[Tensor, " queries_plus_1"],
) -> LossSum:
    """Squared error of the margins (positive - negative), averaged inside each query.

    Args:
        scores: Student's scores; the first candidate of each query is its positive.
        teacher: Teacher's scores; NaN where there is none.
        offsets: Where each query's candidates start, and the total.

    Returns:
        Sum over queries with a margin that the teacher knows, and their number.

    Source: MarginMSE, arXiv 2010.02666, equation 6.
    """
    first = offsets[:-1][list_of_item(offsets)]
    is_negative = torch.arange(scores.shape[0], device=scores.device) != first
    wanted = teacher[first] - teacher
    is_counted = is_negative & ~wanted.isnan()
    errors = scores[first] - scores - wanted.to(scores.dtype).nan_to_num()
    return sum_of_means(errors.square(), is_counted, offsets)


def _log_softmax(table: Tensor, is_known: Tensor) -> Tensor:
    """Logarithm of the softmax over known entries; 0 at the others."""
    table = table.masked_fill(~is_known, -torch.inf).log_softmax(1)
    return table.masked_fill(~is_known, 0.0)
