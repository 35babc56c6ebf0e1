import math

import pytest
import torch
from torch.nn.functional import cosine_similarity

from mgte.errors import CheckpointError, DataError
from mgte.inference.runtimes.prepared_linear import has_fast_bfloat16
from mgte.inference.runtimes.torch_cpu import TorchCpuRuntime
from mgte.kernels import KernelSet, NativeKernels, TorchKernels, is_available
from mgte.model import Encoder, EncoderConfig, RopeConfig
from mgte.packing import PackedBatch, pack

SHAPE = {
    "vocab_size": 100,
    "hidden_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 32,
    "intermediate_size": 160,
    "max_position_embeddings": 1024,
    "rope": RopeConfig(),
    "norm_eps": 1e-6,
}
ABSOLUTE = {"position_embedding_type": "absolute", "rope": None}
MODERNBERT = {
    "norm_position": "pre",
    "norm_bias": False,
    "first_attention_norm": False,
    "final_norm": True,
    "qkv_bias": False,
    "attention_out_bias": False,
    "mlp_out_bias": False,
    "local_rope": RopeConfig(theta=100.0),
    "local_window": 16,
    "local_layers": (1, 2),
}
QWEN2 = {
    "norm_position": "pre",
    "norm_kind": "rms_norm",
    "embedding_norm": False,
    "final_norm": True,
    "hidden_act": "silu",
    "attention_out_bias": False,
    "mlp_out_bias": False,
    "num_key_value_heads": 2,
}
CONFIGS = {
    "gte": {},
    "types": {"type_vocab_size": 2},
    "ntk": {"rope": RopeConfig(ntk_factor=8.0)},
    "ntk-mixed": {"rope": RopeConfig(ntk_factor=8.0, ntk_mixed_b=0.7)},
    "logn": {"logn_attention_scale": True},
    "logn-clip-absolute": {"logn_attention_scale": True, "logn_attention_clip1": True} | ABSOLUTE,
    "rms-norm-post": {"norm_kind": "rms_norm"},
    "bert": ABSOLUTE
    | {"gated_mlp": False, "mlp_in_bias": True, "type_vocab_size": 2, "position_offset": 2},
    "modernbert": MODERNBERT,
    "qwen2": QWEN2,
    "qwen2-causal": QWEN2 | {"is_causal": True},
    "no-final-norm": MODERNBERT | {"final_norm": False},
    "gelu-tanh-gated-bias": {"hidden_act": "gelu_tanh", "mlp_in_bias": True},
    "relu-plain": {"hidden_act": "relu", "gated_mlp": False},
    "tanh": {"hidden_act": "tanh", "gated_mlp": False},
    "odd-head": {"head_dim": 24, "hidden_size": 96},
    "one-layer": {"num_hidden_layers": 1, "final_norm": True},
}
LENGTHS = (1, 40, 7, 40, 700, 3, 513, 2)

kernel_sets = pytest.mark.parametrize(
    "kernels",
    [
        pytest.param(
            "native",
            marks=pytest.mark.skipif(not is_available(), reason="compiled kernels are not built"),
        ),
        "torch",
    ],
)


def kernels_of(name: str) -> KernelSet:
    return NativeKernels() if name == "native" else TorchKernels()


def encoder_of(case: str) -> Encoder:
    torch.manual_seed(0)
    encoder = Encoder(EncoderConfig(**(SHAPE | CONFIGS[case]))).eval()
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            parameter.normal_(std=0.05 if parameter.ndim > 1 else 0.2)
            if "norm" in name and name.endswith("weight"):
                parameter += 1
            if "embeddings.word" in name:
                parameter *= 10
    return encoder


def weights_of(encoder: Encoder) -> dict[str, torch.Tensor]:
    return {f"encoder.{name}": tensor for name, tensor in encoder.state_dict().items()}


def batch_of(case: str, lengths: tuple[int, ...] = LENGTHS) -> PackedBatch:
    generator = torch.Generator().manual_seed(1)
    ids = [torch.randint(0, 100, (n,), generator=generator).tolist() for n in lengths]
    num_types = CONFIGS[case].get("type_vocab_size", 0)
    types = [[i % num_types for i in range(n)] for n in lengths] if num_types else None
    return pack(ids, token_type_ids=types)


def expected_of(encoder: Encoder, batch: PackedBatch) -> torch.Tensor:
    with torch.inference_mode():
        return encoder(batch)


@pytest.mark.parametrize("case", CONFIGS)
@kernel_sets
def test_float32_agrees_with_the_encoder(case: str, kernels: str) -> None:
    encoder, batch = encoder_of(case), batch_of(case)
    if kernels == "native" and case in ("tanh", "odd-head"):
        runtime = TorchCpuRuntime(encoder.config, weights_of(encoder))
        assert runtime.kernels.name == "torch"
    else:
        runtime = TorchCpuRuntime(encoder.config, weights_of(encoder), kernels=kernels_of(kernels))
    expected = expected_of(encoder, batch)
    torch.testing.assert_close(runtime.hidden(batch, None), expected, atol=1e-5, rtol=1e-5)
    rows = torch.tensor([0, 1, 40, 41, 790, 500, 47])
    states = runtime.hidden(batch, rows)
    torch.testing.assert_close(states, expected[rows], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("case", ["gte", "modernbert", "qwen2-causal", "logn"])
@kernel_sets
@pytest.mark.parametrize("num_workers", [1, 2, 3])
def test_one_batch_over_several_workers_agrees(case: str, kernels: str, num_workers: int) -> None:
    encoder = encoder_of(case)
    runtime = TorchCpuRuntime(encoder.config, weights_of(encoder), kernels=kernels_of(kernels))
    for batch in (batch_of(case, (1000,)), batch_of(case)):
        expected = expected_of(encoder, batch)
        states = runtime.hidden_wide(batch, None, num_workers)
        torch.testing.assert_close(states, expected, atol=1e-5, rtol=1e-5)
        rows = torch.tensor([0, 999])
        states = runtime.hidden_wide(batch, rows, num_workers)
        torch.testing.assert_close(states, expected[rows], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("case", ["gte", "bert", "modernbert", "qwen2-causal", "logn"])
@kernel_sets
@pytest.mark.parametrize(("dtype", "least"), [("bfloat16", 0.9995), ("int8", 0.999)])
def test_small_dtypes_stay_close(case: str, kernels: str, dtype: str, least: float) -> None:
    if dtype == "bfloat16" and not has_fast_bfloat16():
        pytest.skip("this processor has no bfloat16")
    encoder, batch = encoder_of(case), batch_of(case)
    runtime = TorchCpuRuntime(
        encoder.config, weights_of(encoder), dtype, kernels=kernels_of(kernels)
    )
    expected = expected_of(encoder, batch)
    rows = batch.cu_seqlens[:-1].long()
    for states in (runtime.hidden(batch, None)[rows], runtime.hidden(batch, rows)):
        assert cosine_similarity(states, expected[rows]).min() > least
    wide = runtime.hidden_wide(batch, rows, 2)
    assert cosine_similarity(wide, expected[rows]).min() > least


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_results_do_not_depend_on_what_ran_before(dtype: str) -> None:
    encoder = encoder_of("gte")
    runtime = TorchCpuRuntime(encoder.config, weights_of(encoder), dtype)
    small, large = batch_of("gte", (5, 9)), batch_of("gte", (600, 31))
    first = runtime.hidden(small, None)
    kept = first.clone()
    runtime.hidden(large, torch.tensor([3]))
    assert torch.equal(first, kept)
    assert torch.equal(runtime.hidden(small, None), kept)


def test_half_precision_weights_are_taken() -> None:
    encoder = encoder_of("gte")
    weights = {name: tensor.half() for name, tensor in weights_of(encoder).items()}
    encoder = encoder.half().float()
    batch = batch_of("gte")
    states = TorchCpuRuntime(encoder.config, weights).hidden(batch, None)
    torch.testing.assert_close(states, expected_of(encoder, batch), atol=1e-5, rtol=1e-5)


def test_layer_weights_are_released_while_they_are_laid_out() -> None:
    weights = weights_of(encoder_of("types")) | {"head.output.weight": torch.ones(1)}
    TorchCpuRuntime(encoder_of("types").config, weights)
    assert set(weights) == {"encoder.embeddings.word.weight", "head.output.weight"}


def test_a_missing_tensor_is_named() -> None:
    encoder = encoder_of("gte")
    weights = weights_of(encoder)
    del weights["encoder.layers.1.mlp.out_proj.bias"]
    with pytest.raises(CheckpointError, match=r"layers\.1\.mlp\.out_proj\.bias"):
        TorchCpuRuntime(encoder.config, weights)


def test_a_sequence_beyond_the_positions_is_refused() -> None:
    encoder = encoder_of("bert")
    runtime = TorchCpuRuntime(encoder.config, weights_of(encoder))
    with pytest.raises(DataError, match=r"sequence 1: has 1,023 tokens, more .* 1,022"):
        runtime.hidden(batch_of("bert", (3, 1023)), None)


def test_rotary_positions_go_on_beyond_the_trained_ones() -> None:
    encoder, batch = encoder_of("gte"), batch_of("gte", (3, 1500))
    runtime = TorchCpuRuntime(encoder.config, weights_of(encoder))
    expected = expected_of(encoder, batch)
    torch.testing.assert_close(runtime.hidden(batch, None), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_weights_that_are_not_numbers_give_no_numbers(dtype: str) -> None:
    encoder = encoder_of("gte")
    weights = weights_of(encoder)
    weights["encoder.layers.0.mlp.out_proj.weight"][3, 5] = math.nan
    states = TorchCpuRuntime(encoder.config, weights, dtype).hidden(batch_of("gte"), None)
    assert states.isnan().all()


def test_an_error_in_one_worker_ends_the_run_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = encoder_of("gte")
    runtime = TorchCpuRuntime(encoder.config, weights_of(encoder))
    batch = batch_of("gte")
    expected = runtime.hidden(batch, None)
    with monkeypatch.context() as patch:
        patch.setattr(runtime.kernels, "attention", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            runtime.hidden_wide(batch, None, 2)
    torch.testing.assert_close(runtime.hidden_wide(batch, None, 2), expected, atol=1e-5, rtol=0)
