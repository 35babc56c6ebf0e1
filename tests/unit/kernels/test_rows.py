import pytest
import torch
from torch.nn import functional

from mgte.kernels import (
    EncodedRows,
    KernelSet,
    NativeKernels,
    NormWeights,
    Projection,
    Rotation,
    TorchKernels,
    is_available,
    load_library,
)

needs_build = pytest.mark.skipif(
    not is_available(), reason=f"compiled kernels {load_library().reason}"
)
kernel_sets = pytest.mark.parametrize("name", [pytest.param("native", marks=needs_build), "torch"])
DTYPES = [torch.float32, torch.bfloat16]
WIDTHS = [1, 15, 16, 33, 768, 1000]
ACTIVATIONS = {
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "silu": functional.silu,
    "relu": functional.relu,
}


def kernels_of(name: str, *written: torch.dtype) -> KernelSet:
    if name == "torch":
        return TorchKernels()
    if torch.bfloat16 in written and not load_library().has_bfloat16:
        pytest.skip("this processor has no avx512_bf16")
    return NativeKernels()


def projection(rows: int, width: int, dtype: torch.dtype, *, is_scaled: bool) -> Projection:
    generator = torch.Generator().manual_seed(rows + width)
    values = torch.randn(rows, width + 3, generator=generator).mul(2).to(dtype)[:, :width]
    if not is_scaled:
        return Projection(values=values)
    scale = torch.rand(rows, generator=generator) + 0.5
    return Projection(values=values, scale=scale, bias=torch.randn(width, generator=generator))


def value_of(source: Projection) -> torch.Tensor:
    x = source.values.double()
    if source.scale is not None:
        x = x * source.scale[:, None]
    return x if source.bias is None else x + source.bias


def encoded_like(rows: int, width: int, dtype: torch.dtype) -> EncodedRows:
    scale = torch.zeros(rows) if dtype == torch.uint8 else None
    return EncodedRows(values=torch.zeros(rows, width, dtype=dtype), scale=scale)


def check_encoded(encoded: EncodedRows, expected: torch.Tensor, slack: float = 0.0) -> None:
    if encoded.scale is None:
        is_exact = encoded.values.dtype == torch.float32
        tolerance = 2e-6 if is_exact else 2**-7
        torch.testing.assert_close(
            encoded.values.double(), expected, atol=tolerance, rtol=tolerance
        )
        return
    decoded = (encoded.values.double() - 128) * encoded.scale[:, None]
    largest = expected.abs().amax(dim=1)
    scale = torch.where(largest == 0, 1.0, largest / 127)
    torch.testing.assert_close(encoded.scale.double(), scale, atol=1e-7 + slack, rtol=1e-5)
    allowed = 0.501 * encoded.scale[:, None] + slack
    assert ((decoded - expected).abs() <= allowed).all()
    assert encoded.values.min() >= 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("is_scaled", [False, True])
@pytest.mark.parametrize(("head_dim", "columns"), [(16, 80), (32, 96), (64, 320), (24, 100)])
@kernel_sets
def test_rotation(
    dtype: torch.dtype, is_scaled: bool, head_dim: int, columns: int, name: str
) -> None:
    source = projection(9, columns, dtype, is_scaled=is_scaled)
    positions = torch.tensor([0, 1, 2, 0, 5, 30, 31, 4, 0])
    angles = torch.outer(torch.arange(32.0), torch.rand(head_dim // 2))
    rotation = Rotation(
        head_dim=head_dim,
        num_heads=3,
        cosines=angles.cos(),
        sines=angles.sin(),
        positions=positions,
        query_scale=torch.rand(9) + 0.5,
        num_scaled_heads=2,
    )
    expected = value_of(source)
    heads = expected[:, : 3 * head_dim].unflatten(1, (3, head_dim))
    cos, sin = (table.double()[positions][:, None] for table in (angles.cos(), angles.sin()))
    first, second = heads.chunk(2, dim=-1)
    heads = torch.cat((first * cos - second * sin, second * cos + first * sin), -1)
    heads[:, :2] *= rotation.query_scale[:, None, None]
    expected = torch.cat((heads.flatten(1), expected[:, 3 * head_dim :]), 1)
    target = torch.zeros(9, columns + 7, dtype=dtype)[:, 4 : 4 + columns]
    kernels_of(name, dtype).rotate(source, rotation, target)
    check_encoded(EncodedRows(values=target), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@kernel_sets
def test_rows_without_rotation_keep_scale_and_bias(dtype: torch.dtype, name: str) -> None:
    source = projection(5, 70, dtype, is_scaled=True)
    target = torch.zeros(5, 70, dtype=dtype)
    factors = torch.tensor([1.0, 2.0, 0.5, 3.0, 1.5])
    rotation = Rotation(head_dim=10, query_scale=factors, num_scaled_heads=3)
    kernels_of(name, dtype).rotate(source, rotation, target)
    expected = value_of(source)
    expected[:, :30] *= factors[:, None]
    check_encoded(EncodedRows(values=target), expected)
    kernels_of(name, dtype).rotate(source, Rotation(head_dim=10), target)
    check_encoded(EncodedRows(values=target), value_of(source))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("encoded_dtype", [*DTYPES, torch.uint8])
@pytest.mark.parametrize("kind", ["layer", "layer-no-bias", "rms"])
@kernel_sets
def test_residual_and_norm(
    width: int, dtype: torch.dtype, encoded_dtype: torch.dtype, kind: str, name: str
) -> None:
    source = projection(6, width, dtype, is_scaled=dtype == torch.bfloat16)
    residual = torch.randn(6, width)
    weight, bias = torch.rand(width) + 0.5, torch.randn(width) if kind == "layer" else None
    weights = NormWeights(weight=weight, bias=bias, epsilon=1e-5, is_rms=kind == "rms")
    total = value_of(source) + residual
    center = 0 if kind == "rms" else total.mean(1, keepdim=True)
    spread = (total - center).square().mean(1, keepdim=True)
    expected = (total - center) * (spread + 1e-5).rsqrt() * weight
    expected = expected if bias is None else expected + bias
    kernels, summed, normed = kernels_of(name, encoded_dtype), residual.clone(), residual.clone()
    encoded = encoded_like(6, width, encoded_dtype)
    kernels.norm(source, summed, weights, summed=summed, encoded=encoded)
    torch.testing.assert_close(summed.double(), total, atol=2e-6, rtol=2e-6)
    # One element minus its own mean leaves nothing but rounding, which epsilon then magnifies.
    if width > 1:
        check_encoded(encoded, expected)
        kernels.norm(source, normed, weights, normed=normed)
        torch.testing.assert_close(normed.double(), expected, atol=5e-6, rtol=2e-6)


@kernel_sets
def test_without_weights_the_norm_is_the_identity(name: str) -> None:
    source = projection(4, 50, torch.float32, is_scaled=False)
    residual, encoded = torch.randn(4, 50), encoded_like(4, 50, torch.uint8)
    normed = torch.zeros(4, 50)
    kernels_of(name).norm(source, residual, None, normed=normed, encoded=encoded)
    torch.testing.assert_close(normed, source.values + residual)
    check_encoded(encoded, (source.values + residual).double())


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("is_gated", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target_dtype", [*DTYPES, torch.uint8])
@kernel_sets
def test_activation(
    activation: str, is_gated: bool, dtype: torch.dtype, target_dtype: torch.dtype, name: str
) -> None:
    for width in WIDTHS:
        source = projection(5, width * (1 + is_gated), dtype, is_scaled=target_dtype == torch.uint8)
        x = value_of(source)
        gate = x[:, :width]
        expected = ACTIVATIONS[activation](gate)
        if is_gated:
            expected = expected * x[:, width:]
        target = encoded_like(5, width, target_dtype)
        kernels = kernels_of(name, target_dtype)
        kernels.activate(source, activation, target, is_gated=is_gated)
        # The gelu made for 8 bits errs by 1.3e-4, times the other half.
        check_encoded(target, expected, slack=1.5e-4 * float(x.abs().max()))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@needs_build
def test_activation_over_its_whole_range(activation: str) -> None:
    x = torch.cat((torch.linspace(-12, 12, 40001), torch.tensor([0.0, -0.0, 1e30, -1e30, 3e38])))
    target = torch.empty(1, len(x))
    kernels = NativeKernels()
    kernels.activate(
        Projection(values=x[None]), activation, EncodedRows(values=target), is_gated=False
    )
    expected = ACTIVATIONS[activation](x.double())
    torch.testing.assert_close(target[0].double(), expected, atol=1e-6, rtol=1e-6)
    x = torch.tensor([[float("nan"), float("inf"), 1.0]])
    target = torch.empty(1, 3)
    kernels.activate(Projection(values=x), activation, EncodedRows(values=target), is_gated=False)
    assert target[0, 0].isnan()
    assert target[0, 1] == float("inf")


@needs_build
def test_the_short_gelu_errs_less_than_its_target_keeps() -> None:
    x = torch.cat((torch.linspace(-30, 30, 40001), torch.tensor([float("nan")])))
    target = torch.empty(1, len(x), dtype=torch.bfloat16)
    kernels = kernels_of("native", torch.bfloat16)
    kernels.activate(Projection(values=x[None]), "gelu", EncodedRows(values=target), is_gated=False)
    expected = functional.gelu(x.double())
    torch.testing.assert_close(target[0, :-1].double(), expected[:-1], atol=1.5e-4, rtol=2**-8)
    assert target[0, -1].isnan()


@pytest.mark.parametrize("dtype", DTYPES)
@kernel_sets
def test_codes_of_rows(dtype: torch.dtype, name: str) -> None:
    for width in WIDTHS:
        values = projection(7, width, dtype, is_scaled=False).values
        values[2] = 0
        target = encoded_like(7, width, torch.uint8)
        kernels_of(name).encode(values, target)
        expected = values.double()
        assert target.scale is not None
        assert target.scale[2] == 1
        assert (target.values[2] == 128).all()
        target.scale[2] = 0
        decoded = (target.values.double() - 128) * target.scale[:, None]
        assert ((decoded - expected).abs() <= 0.501 * target.scale[:, None]).all()


@kernel_sets
def test_a_row_with_nan_has_a_nan_scale(name: str) -> None:
    values = torch.ones(3, 40)
    values[1, 7], values[2, 39] = float("nan"), float("inf")
    target = encoded_like(3, 40, torch.uint8)
    kernels_of(name).encode(values, target)
    assert target.scale is not None
    assert target.scale.isfinite().tolist() == [True, False, False]


@needs_build
def test_wrong_tensors_are_refused_before_the_call() -> None:
    kernels = NativeKernels()
    rows = torch.zeros(4, 32)
    with pytest.raises(TypeError, match="contiguous rows"):
        kernels.encode(rows.T, EncodedRows(values=rows.T.to(torch.uint8).contiguous()))
    with pytest.raises(TypeError, match="rotate"):
        kernels.rotate(Projection(values=rows), Rotation(head_dim=16), torch.zeros(4, 16))
    with pytest.raises(TypeError, match="expected 32 float32"):
        source = Projection(values=rows, bias=torch.zeros(31))
        kernels.norm(source, None, None, normed=rows)
    with pytest.raises(TypeError, match="wider"):
        kernels.norm(Projection(values=torch.zeros(1, 20000)), None, None)
