"""Distillation of vectors at its edges."""

import torch

from mgte.losses import cosine_distance, similarity_divergence


def test_equal_geometry_costs_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    teachers = torch.nn.functional.normalize(torch.randn(6, 4, generator=generator))
    turned = teachers @ torch.linalg.qr(torch.randn(4, 4, generator=generator))[0]
    rows = torch.arange(6)
    found = similarity_divergence((turned, turned), (teachers, teachers), rows, temperature=0.05)
    assert abs(float(found.total)) < 1e-4
    assert abs(float(cosine_distance(3 * teachers, teachers).total)) < 1e-5


def test_one_text_and_no_text() -> None:
    for rows in (0, 1):
        student = torch.ones(rows, 4, requires_grad=True)
        teacher = torch.ones(rows, 3)
        found = similarity_divergence(
            (student, student), (teacher, teacher), torch.arange(rows), temperature=0.05
        )
        assert (float(found.total.detach()), found.count) == (0.0, rows)
        assert not torch.autograd.grad(found.total, student)[0].any()
        assert cosine_distance(student, student.detach()).count == rows


def test_a_share_without_rows_still_reaches_the_others() -> None:
    everyone = torch.ones(3, 4, requires_grad=True)
    found = similarity_divergence(
        (torch.zeros(0, 4), everyone),
        (torch.zeros(0, 5), torch.ones(3, 5)),
        torch.arange(0),
        temperature=0.05,
    )
    assert not torch.autograd.grad(found.total, everyone)[0].any()
