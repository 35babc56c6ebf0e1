"""The vocabulary in chunks: same numbers as whole, never all scores at once."""

import pytest
import torch
from tests.unit.losses.largest_tensor import LargestTensor

from mgte.losses import masked_lm_loss, vocabulary_cross_entropy

MASKED, VOCABULARY, WIDTH = 37, 501, 16


def made(dtype=torch.float32, rows: int = MASKED) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(rows, WIDTH), (VOCABULARY, WIDTH), (VOCABULARY,)]
    return [
        torch.randn(*shape, generator=generator, dtype=dtype).requires_grad_() for shape in shapes
    ]


def labels_of(rows: int = MASKED) -> torch.Tensor:
    return torch.arange(rows) * 13 % VOCABULARY


def gradients(chunk: int, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    loss = masked_lm_loss(*inputs, labels_of(len(inputs[0])), vocabulary_chunk=chunk)
    return [loss.total.detach(), *torch.autograd.grad(loss.total, inputs)]


@pytest.mark.parametrize("chunk", [1, 64, 500, 501, 1000])
def test_chunks_give_the_loss_and_gradients_of_the_whole(chunk: int) -> None:
    wanted = gradients(0, made(torch.float64))
    found = gradients(chunk, made(torch.float64))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("chunk", [0, 64])
def test_half_precision_is_close_to_float32(chunk: int) -> None:
    wanted = gradients(0, made())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = gradients(chunk, made())
    assert [part.dtype for part in found] == [torch.float32] * 4
    for one, other in zip(found, wanted, strict=True):
        assert (one - other).norm() < 0.02 * other.norm()


def test_no_tensor_has_all_scores() -> None:
    with LargestTensor() as largest:
        gradients(64, made())
    assert largest.entries <= max(MASKED * 64, VOCABULARY * WIDTH) < MASKED * VOCABULARY


def test_predictions_are_the_highest_scores() -> None:
    states, weight, bias = made()
    wanted = (states @ weight.T + bias).argmax(1)
    for chunk in (0, 10):
        _, found = vocabulary_cross_entropy(
            states, weight, bias, labels_of(), vocabulary_chunk=chunk
        )
        assert found.tolist() == wanted.tolist()


@pytest.mark.parametrize("chunk", [0, 10])
def test_nothing_masked_gives_nothing(chunk: int) -> None:
    loss, *others = gradients(chunk, made(rows=0))
    assert float(loss) == 0
    assert all(not part.any() for part in others)


def test_frozen_weights_and_no_bias() -> None:
    states, weight, _ = made(torch.float64)
    found = []
    for chunk in (0, 50):
        loss = masked_lm_loss(states, weight.detach(), None, labels_of(), vocabulary_chunk=chunk)
        found.append(torch.autograd.grad(loss.total, states)[0])
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("chunk", [0, 10])
def test_huge_scores_stay_finite(chunk: int) -> None:
    states, weight, bias = made()
    with torch.no_grad():
        states.mul_(1e4)
    for part in gradients(chunk, [states, weight, bias]):
        assert part.isfinite().all()
