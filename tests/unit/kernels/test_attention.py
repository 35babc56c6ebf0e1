import itertools
import math

import pytest
import torch

from mgte.kernels import (
    AttentionInput,
    AttentionShape,
    KernelSet,
    NativeKernels,
    TorchKernels,
    is_available,
    load_library,
)

needs_build = pytest.mark.skipif(
    not is_available(), reason=f"compiled kernels {load_library().reason}"
)
kernel_sets = pytest.mark.parametrize("name", [pytest.param("native", marks=needs_build), "torch"])
LENGTHS = (1, 7, 130, 64, 65, 300, 2, 128, 1)
SHAPES = {
    "plain": {"heads": (4, 4), "dim": 64},
    "narrow": {"heads": (3, 3), "dim": 16},
    "uneven-width": {"heads": (2, 2), "dim": 48},
    "wide-grouped": {"heads": (4, 2), "dim": 128},
    "window": {"heads": (2, 2), "dim": 64, "window": 64},
    "tight-window": {"heads": (2, 1), "dim": 32, "window": 1},
    "causal": {"heads": (2, 2), "dim": 64, "is_causal": True},
    "causal-window": {"heads": (4, 1), "dim": 32, "is_causal": True, "window": 20},
}


def kernels_of(name: str) -> KernelSet:
    return NativeKernels() if name == "native" else TorchKernels()


def shape_of(case: str) -> AttentionShape:
    options = SHAPES[case]
    return AttentionShape(
        num_heads=options["heads"][0],
        num_key_value_heads=options["heads"][1],
        head_dim=options["dim"],
        scale=1.5 / math.sqrt(options["dim"]),
        window=options.get("window"),
        is_causal=options.get("is_causal", False),
    )


def inputs_of(
    shape: AttentionShape, dtype: torch.dtype, lengths: tuple[int, ...] = LENGTHS
) -> AttentionInput:
    generator = torch.Generator().manual_seed(0)
    sizes = [n * shape.head_dim for n in (shape.num_heads, *[shape.num_key_value_heads] * 2)]
    projected = torch.randn(sum(lengths), sum(sizes), generator=generator).to(dtype)
    q, k, v = projected.split(sizes, dim=1)
    starts = torch.tensor((0, *lengths)).cumsum(0).to(torch.int32)
    return AttentionInput(queries=q, keys=k, values=v, cu_seqlens=starts, max_seqlen=max(lengths))


def expected_of(inputs: AttentionInput, shape: AttentionShape) -> torch.Tensor:
    outputs = []
    groups = shape.num_heads // shape.num_key_value_heads
    starts = inputs.cu_seqlens.tolist()
    for start, stop in itertools.pairwise(starts):
        q, k, v = (
            part[start:stop].double().unflatten(1, (-1, shape.head_dim)).transpose(0, 1)
            for part in (inputs.queries, inputs.keys, inputs.values)
        )
        scores = q @ k.repeat_interleave(groups, 0).mT * shape.scale
        i, j = torch.arange(stop - start)[:, None], torch.arange(stop - start)
        if shape.window is not None:
            scores = scores.masked_fill((i - j).abs() > shape.window, -math.inf)
        if shape.is_causal:
            scores = scores.masked_fill(j > i, -math.inf)
        out = scores.softmax(-1) @ v.repeat_interleave(groups, 0)
        outputs.append(out.transpose(0, 1).flatten(1))
    return torch.cat(outputs)


def attend(
    kernels: KernelSet, inputs: AttentionInput, shape: AttentionShape, begin: int, end: int
) -> torch.Tensor:
    output = torch.full((end - begin, inputs.queries.shape[1]), 7.0, dtype=inputs.queries.dtype)
    kernels.attention(inputs, shape, output, begin)
    return output.double()


@pytest.mark.parametrize("case", SHAPES)
@kernel_sets
def test_float32_agrees_with_double_precision(case: str, name: str) -> None:
    shape = shape_of(case)
    inputs = inputs_of(shape, torch.float32)
    out = attend(kernels_of(name), inputs, shape, 0, sum(LENGTHS))
    torch.testing.assert_close(out, expected_of(inputs, shape), atol=2e-6, rtol=2e-6)


@pytest.mark.parametrize("case", SHAPES)
@kernel_sets
def test_bfloat16_errs_by_its_rounding_only(case: str, name: str) -> None:
    shape, kernels = shape_of(case), kernels_of(name)
    if kernels.unsupported(shape, torch.bfloat16):
        pytest.skip("this processor has no avx512_bf16")
    inputs = inputs_of(shape, torch.bfloat16)
    out = attend(kernels, inputs, shape, 0, sum(LENGTHS))
    torch.testing.assert_close(out, expected_of(inputs, shape), atol=0.02, rtol=0.01)


@pytest.mark.parametrize("case", SHAPES)
@pytest.mark.parametrize(("begin", "end"), [(0, 1), (5, 9), (3, 400), (137, 138), (200, 698)])
@kernel_sets
def test_any_range_of_rows_is_the_same(case: str, begin: int, end: int, name: str) -> None:
    shape = shape_of(case)
    inputs = inputs_of(shape, torch.float32)
    out = attend(kernels_of(name), inputs, shape, begin, end)
    expected = expected_of(inputs, shape)[begin:end]
    torch.testing.assert_close(out, expected, atol=2e-6, rtol=2e-6)


@pytest.mark.parametrize("case", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@kernel_sets
def test_listed_rows_in_any_order(case: str, dtype: torch.dtype, name: str) -> None:
    shape, kernels = shape_of(case), kernels_of(name)
    if kernels.unsupported(shape, dtype):
        pytest.skip("this processor has no avx512_bf16")
    inputs = inputs_of(shape, dtype)
    rows = torch.tensor([0, 1, 8, 137, 138, 266, 400, 399, 300, 697, 2, 2, 565])
    listed = AttentionInput(
        queries=inputs.queries[rows],
        keys=inputs.keys,
        values=inputs.values,
        cu_seqlens=inputs.cu_seqlens,
        max_seqlen=inputs.max_seqlen,
        rows=rows,
    )
    tolerance = 2e-6 if dtype == torch.float32 else 0.02
    expected = expected_of(inputs, shape)[rows]
    out = attend(kernels, listed, shape, 0, len(rows))
    torch.testing.assert_close(out, expected, atol=tolerance, rtol=tolerance)
    out = attend(kernels, listed, shape, 3, 9)
    torch.testing.assert_close(out, expected[3:9], atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("case", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@needs_build
def test_keys_packed_beforehand_give_the_same(case: str, dtype: torch.dtype) -> None:
    shape, kernels = shape_of(case), NativeKernels()
    if kernels.unsupported(shape, dtype):
        pytest.skip("this processor has no avx512_bf16")
    inputs = inputs_of(shape, dtype)
    shared = AttentionInput(
        queries=inputs.queries,
        keys=inputs.keys,
        values=inputs.values,
        cu_seqlens=inputs.cu_seqlens,
        max_seqlen=inputs.max_seqlen,
        packed=kernels.packed_room(inputs, shape),
    )
    heads = shape.num_key_value_heads
    kernels.pack_keys_values(shared, shape, range(heads // 2))
    kernels.pack_keys_values(shared, shape, range(heads // 2, heads))
    out = attend(kernels, shared, shape, 3, 650)
    assert torch.equal(out, attend(kernels, inputs, shape, 3, 650))


@kernel_sets
def test_large_scores_do_not_overflow(name: str) -> None:
    shape = shape_of("plain")
    inputs = inputs_of(shape, torch.float32, (200, 3))
    inputs.queries.mul_(1000)
    out = attend(kernels_of(name), inputs, shape, 0, 203)
    torch.testing.assert_close(out, expected_of(inputs, shape), atol=1e-3, rtol=1e-3)


@needs_build
def test_a_window_costs_time_linear_in_length() -> None:
    """Counted in the blocks that are touched: NaN keys outside every window must not be read."""
    shape, kernels = shape_of("window"), NativeKernels()
    inputs = inputs_of(shape, torch.float32, (1000,))
    inputs.keys[400:] = math.nan
    out = attend(kernels, inputs, shape, 0, 200)
    assert out.isfinite().all()


@needs_build
def test_what_the_kernel_does_not_take_is_said() -> None:
    kernels = NativeKernels()
    odd = AttentionShape(num_heads=1, num_key_value_heads=1, head_dim=24, scale=1.0)
    assert "multiple of 16, not 24" in str(kernels.unsupported(odd, torch.float32))
    assert "not torch.float16" in str(kernels.unsupported(shape_of("plain"), torch.float16))
    inputs = inputs_of(shape_of("plain"), torch.float32)
    with pytest.raises(TypeError, match="attention"):
        kernels.attention(inputs, shape_of("narrow"), torch.empty(1, 48), 0)
