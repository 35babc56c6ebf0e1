"""Law 4: all attention backends agree, forward and backward, and no token sees another sequence."""

import pytest
import torch

from mgte.errors import BackendUnavailableError, ConfigError
from mgte.model import BACKENDS, AttentionSpec, choose_backend, varlen_attention
from mgte.packing import pack

HEAD_DIM = 16
SPECS = {
    "full": AttentionSpec(scale=0.25),
    "causal": AttentionSpec(scale=0.25, is_causal=True),
    "window": AttentionSpec(scale=0.25, window=7),
    "wide window": AttentionSpec(scale=0.25, window=40),
    "causal window": AttentionSpec(scale=0.25, window=5, is_causal=True),
}
LENGTHS = (1, 5, 5, 64, 33, 130, 130)
# float32 sums over at most 130 keys in another order.
TOLERANCE = 2e-6
GRADIENT_TOLERANCE = 2e-5


def literal_attention(q, k, v, lengths, spec):
    """One sequence and one head at a time, with the mask written out."""
    groups = q.shape[1] // k.shape[1]
    outputs, start = [], 0
    for length in lengths:
        rows = slice(start, start + length)
        i, j = torch.arange(length)[:, None], torch.arange(length)
        hidden = torch.zeros(length, length, dtype=torch.bool)
        if spec.window is not None:
            hidden |= (i - j).abs() > spec.window
        if spec.is_causal:
            hidden |= j > i
        heads = []
        for head in range(q.shape[1]):
            scores = q[rows, head] @ k[rows, head // groups].T * spec.scale
            weights = scores.masked_fill(hidden, float("-inf")).softmax(-1)
            heads.append(weights @ v[rows, head // groups])
        outputs.append(torch.stack(heads, dim=1))
        start += length
    return torch.cat(outputs)


def random_qkv(generator, kv_heads, *, device="cpu", dtype=torch.float32):
    total = sum(LENGTHS)
    return [
        torch.randn(total, heads, HEAD_DIM, generator=generator).to(device, dtype).requires_grad_()
        for heads in (4, kv_heads, kv_heads)
    ]


@pytest.mark.parametrize("kv_heads", [4, 2])
@pytest.mark.parametrize("name", ["sdpa", "padded"])
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_backend_equals_the_formula_forward_and_backward(name, spec, kv_heads, generator):
    batch = pack([[0] * length for length in LENGTHS])
    qkv = random_qkv(generator, kv_heads)
    weight = torch.randn(sum(LENGTHS), 4, HEAD_DIM, generator=generator)
    expected = literal_attention(*qkv, LENGTHS, spec)
    expected_grads = torch.autograd.grad((expected * weight).sum(), qkv)
    actual = varlen_attention(*qkv, batch, spec, backend=name)
    grads = torch.autograd.grad((actual * weight).sum(), qkv)
    assert (actual - expected).abs().max() <= TOLERANCE
    for grad, expected_grad in zip(grads, expected_grads, strict=True):
        assert (grad - expected_grad).abs().max() <= GRADIENT_TOLERANCE


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["varlen", "flex", "padded"])
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_gpu_backend_equals_the_formula_in_bfloat16(name, spec, generator):
    dtype = torch.bfloat16
    if BACKENDS[name].unsupported("cuda", dtype, spec) is not None:
        pytest.skip(BACKENDS[name].unsupported("cuda", dtype, spec))
    batch = pack([[0] * length for length in LENGTHS], device=torch.device("cuda"))
    qkv = random_qkv(generator, 2, device="cuda", dtype=dtype)
    actual = varlen_attention(*qkv, batch, spec, backend=name)
    expected = literal_attention(*(x.float().cpu() for x in qkv), LENGTHS, spec)
    # bfloat16 keeps 8 bits; outputs are averages of unit normals.
    assert (actual.float().cpu() - expected).abs().max() <= 3e-2
    grads = torch.autograd.grad(actual.float().sum(), qkv)
    expected_grads = torch.autograd.grad(literal_attention(*qkv, LENGTHS, spec).float().sum(), qkv)
    for grad, expected_grad in zip(grads, expected_grads, strict=True):
        cosine = torch.cosine_similarity(
            grad.float().flatten(), expected_grad.float().flatten(), dim=0
        )
        assert cosine > 0.999


@pytest.mark.parametrize("name", ["sdpa", "padded"])
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_no_token_sees_another_sequence(name, spec, generator):
    batch = pack([[0] * length for length in LENGTHS])
    q, k, v = random_qkv(generator, 4)
    before = varlen_attention(q, k, v, batch, spec, backend=name)
    start, end = batch.offsets[3], batch.offsets[4]
    with torch.no_grad():
        k[start:end] += 3.0
        v[start:end] -= 2.0
    after = varlen_attention(q, k, v, batch, spec, backend=name)
    changed = (after - before).abs().amax(dim=(1, 2)) > 0
    assert changed[start:end].all()
    assert not changed[:start].any()
    assert not changed[end:].any()


def test_every_device_has_a_backend_and_says_why_the_others_are_not():
    choice = choose_backend("auto", "cpu", torch.float32, SPECS["full"])
    assert choice.backend.name == "sdpa"
    assert dict(choice.refused).keys() == {"varlen", "flex"}
    assert choose_backend("auto", "mps", torch.float32, SPECS["full"]).backend.name == "padded"


def test_unknown_and_unsupported_backends_are_errors():
    with pytest.raises(ConfigError, match="expected one of auto, varlen, flex, sdpa, padded"):
        choose_backend("flash3", "cpu", torch.float32, SPECS["full"])
    with pytest.raises(BackendUnavailableError, match="'varlen' runs on cuda, not on cpu"):
        choose_backend("varlen", "cpu", torch.float32, SPECS["full"])


def test_local_attention_builds_no_square_mask(generator):
    length, spec = 8192, AttentionSpec(scale=0.25, window=64)
    q, k, v = (torch.randn(length, 1, HEAD_DIM, generator=generator) for _ in range(3))
    batch = pack([[0] * length])
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            for tensor in out if isinstance(out, tuple) else (out,):
                if isinstance(tensor, torch.Tensor):
                    largest = max(largest, tensor.numel())
            return out

    with Watch():
        varlen_attention(q, k, v, batch, spec, backend="sdpa")
    # One band of masks: length x (block + 2 windows), a fortieth of the square.
    assert largest <= length * 3 * 64
