"""Ragged candidate lists at their edges."""

import pytest
import torch

from mgte.losses import (
    binary_cross_entropy,
    listwise_cross_entropy,
    margin_squared_error,
    positive_leads,
    ranking_divergence,
    squared_error,
)

NAN = float("nan")
NOTHING = torch.zeros(0, requires_grad=True)


def kl(scores, teacher, offsets):
    return ranking_divergence(
        scores, teacher, offsets, student_temperature=0.1, teacher_temperature=1.0
    )


@pytest.mark.parametrize(
    "loss",
    [listwise_cross_entropy, binary_cross_entropy, squared_error, margin_squared_error, kl],
)
@pytest.mark.parametrize("offsets", [[0], [0, 0, 0]])
def test_no_candidates_give_zero_with_a_gradient(loss, offsets) -> None:
    found = loss(NOTHING, NOTHING.detach(), torch.tensor(offsets))
    assert (float(found.total.detach()), found.count) == (0.0, 0)
    assert torch.autograd.grad(found.total, NOTHING)[0].shape == (0,)


@pytest.mark.parametrize("loss", [squared_error, margin_squared_error, kl])
def test_a_silent_teacher_teaches_nothing(loss) -> None:
    scores = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    found = loss(scores, torch.full((3,), NAN), torch.tensor([0, 2, 3]))
    assert (float(found.total.detach()), found.count) == (0.0, 0)
    assert not torch.autograd.grad(found.total, scores)[0].any()


def test_kl_counts_rows_with_two_scores_and_is_zero_for_the_same_ranking() -> None:
    scores = torch.tensor([0.1, 0.2, 0.3, 0.5, 0.7], requires_grad=True)
    teacher = torch.tensor([1.0, 2.0, NAN, NAN, 7.0])
    found = kl(scores, teacher, torch.tensor([0, 3, 5]))
    assert found.count == 1
    assert float(found.total.detach()) == pytest.approx(0.0, abs=1e-6)
    assert torch.autograd.grad(found.total, scores)[0][[2, 3, 4]].tolist() == [0, 0, 0]


def test_a_query_without_a_positive_has_no_listwise_loss() -> None:
    scores = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    labels = torch.tensor([0.0, 0.0, 1.0])
    found = listwise_cross_entropy(scores, labels, torch.tensor([0, 2, 3]))
    assert (float(found.total.detach()), found.count) == (0.0, 1)
    assert torch.autograd.grad(found.total, scores)[0].isfinite().all()


def test_leading_positives() -> None:
    scores = torch.tensor([1.0, 0.5, 1.0, 1.0, 2.0, 9.0, 5.0])
    labels = torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0])
    found = positive_leads(scores, labels, torch.tensor([0, 2, 4, 4, 6, 7]))
    # First, tie, no candidates, second, alone.
    assert (int(found.total), found.count) == (2, 5)


def test_huge_scores_stay_finite() -> None:
    scores = torch.tensor([1e6, -1e6, 3e5], requires_grad=True)
    labels, offsets = torch.tensor([0.0, 1.0, 0.0]), torch.tensor([0, 3])
    for loss in (listwise_cross_entropy, binary_cross_entropy, kl):
        found = loss(scores, labels, offsets)
        assert found.total.isfinite()
        assert torch.autograd.grad(found.total, scores)[0].isfinite().all()
