import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from golden import FOLDERS, folders_with, is_causal, read_case
from torch.nn.functional import cosine_similarity

from mgte.errors import BackendUnavailableError
from mgte.inference.runtimes.openvino import OpenVinoRuntime, unsupported
from mgte.model import Encoder, EncoderConfig, RopeConfig
from mgte.packing import pack
from mgte.store import load_model

openvino = pytest.importorskip("openvino")

SHAPE = {
    "vocab_size": 100,
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 16,
    "intermediate_size": 96,
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
    "local_window": 8,
    "local_layers": (0, 1),
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
    "one-type": {"type_vocab_size": 1},
    "ntk": {"rope": RopeConfig(ntk_factor=8.0)},
    "ntk-mixed": {"rope": RopeConfig(ntk_factor=8.0, ntk_mixed_b=0.7)},
    "linear": {"rope": RopeConfig(linear_factor=2.0)},
    "logn": {"logn_attention_scale": True},
    "logn-clip": {"logn_attention_scale": True, "logn_attention_clip1": True} | ABSOLUTE,
    "rms-norm-post": {"norm_kind": "rms_norm"},
    "bert": ABSOLUTE
    | {"gated_mlp": False, "mlp_in_bias": True, "type_vocab_size": 2, "position_offset": 2},
    "modernbert": MODERNBERT,
    "last-layer-local": MODERNBERT | {"local_layers": (1, 2)},
    "local-causal": MODERNBERT | {"is_causal": True},
    "local-grouped": MODERNBERT | {"num_key_value_heads": 2},
    "qwen2": QWEN2,
    "qwen2-causal": QWEN2 | {"is_causal": True},
    "gelu-tanh": {"hidden_act": "gelu_tanh"},
    "relu-plain": {"hidden_act": "relu", "gated_mlp": False},
    "tanh-plain": {"hidden_act": "tanh", "gated_mlp": False},
}
# One token first: it once made every later result of the fused attention kernel wrong.
LENGTHS = (1, 9, 5, 5, 1, 2, 8, 70, 33, 16, 17, 70, 32, 40)


def build(options, seed=0):
    config = EncoderConfig(**(SHAPE | options))
    encoder = Encoder(config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            offset = 1.0 if "norm.weight" in name else 0.0
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1 + offset)
    return config, encoder


def batch_of(lengths, *, types=False, seed=0):
    random = np.random.default_rng(seed)
    ids = [random.integers(0, 100, length).tolist() for length in lengths]
    segments = [random.integers(0, 2, length).tolist() for length in lengths] if types else None
    return pack(ids, token_type_ids=segments)


def expected(encoder, batch, rows=None):
    with torch.inference_mode():
        return encoder(batch, rows=rows)


@pytest.mark.parametrize("options", CONFIGS.values(), ids=CONFIGS.keys())
def test_every_switch_gives_what_the_encoder_gives(options):
    config, encoder = build(options)
    runtime = OpenVinoRuntime(config, encoder.state_dict())
    batch = batch_of(LENGTHS, types=config.type_vocab_size > 1)
    torch.testing.assert_close(
        runtime.hidden(batch, None), expected(encoder, batch), atol=2e-5, rtol=0
    )
    first = batch.cu_seqlens[:-1].long()
    rows = torch.randperm(batch.num_tokens, generator=torch.Generator().manual_seed(1))[:50]
    for wanted in (first, batch.cu_seqlens[1:].long() - 1, rows):
        torch.testing.assert_close(
            runtime.hidden(batch, wanted), expected(encoder, batch, wanted), atol=2e-5, rtol=0
        )


@pytest.mark.parametrize("options", [{}, MODERNBERT, QWEN2], ids=["gte", "modernbert", "qwen2"])
@pytest.mark.parametrize(("dtype", "least"), [("bfloat16", 0.999), ("int8", 0.99)])
def test_low_precision_stays_close(options, dtype, least):
    config, encoder = build(options)
    if unsupported(config, dtype) is not None:
        pytest.skip("this CPU lacks the dtype")
    batch = batch_of(LENGTHS)
    states = OpenVinoRuntime(config, encoder.state_dict(), dtype=dtype).hidden(batch, None)
    reference = expected(encoder, batch)
    assert cosine_similarity(states, reference).min() >= least
    assert not torch.equal(states, reference)


def test_wide_equals_narrow_and_threads_do_not_mix():
    config, encoder = build(MODERNBERT)
    runtime = OpenVinoRuntime(config, encoder.state_dict(), dtype="float32", num_workers=2)
    batches = [batch_of((1 + 3 * seed, 7, 30 + seed), seed=seed) for seed in range(12)]
    with ThreadPoolExecutor(4) as pool:
        narrow = list(pool.map(lambda batch: runtime.hidden(batch, None), batches))
    for batch, states in zip(batches, narrow, strict=True):
        reference = expected(encoder, batch)
        torch.testing.assert_close(states, reference, atol=2e-5, rtol=0)
        wide = runtime.hidden_wide(batch, None, 2)
        torch.testing.assert_close(wide, reference, atol=2e-5, rtol=0)


@pytest.mark.skipif(not FOLDERS, reason="needs the golden checkpoints")
@pytest.mark.parametrize("folder", folders_with("last_hidden_state"), ids=lambda path: path.name)
def test_golden_checkpoints(folder):
    case = read_case(folder)
    model = load_model(folder, is_causal=is_causal(folder))
    batch = pack(case.input_ids, token_type_ids=case.token_type_ids)
    reference = torch.cat([case.hidden(index) for index in range(len(batch))])
    first = batch.cu_seqlens[:-1].long()
    weights = {f"encoder.{name}": value for name, value in model.encoder.state_dict().items()}
    for dtype, least in (("float32", None), ("bfloat16", 0.999), ("int8", 0.99)):
        if unsupported(model.config, dtype) is not None:
            continue
        states = OpenVinoRuntime(model.config, weights, dtype=dtype).hidden(batch, None)
        if least is None:
            torch.testing.assert_close(states, reference, atol=2e-5, rtol=0)
        else:
            assert cosine_similarity(states[first], reference[first]).min() >= least


def compiled_nodes(runtime):
    """(layer type, precision) of every node that the plugin runs."""
    nodes = runtime._compile(1, 1)._model.get_runtime_model().get_ordered_ops()
    infos = [node.get_rt_info() for node in nodes]
    return [(info["layerType"].value, info["runtimePrecision"].value) for info in infos]


def test_the_plugin_fuses_rotary_positions_and_attention():
    config, encoder = build({})
    kinds = [kind for kind, _ in compiled_nodes(OpenVinoRuntime(config, encoder.state_dict()))]
    layers = config.num_hidden_layers
    assert kinds.count("RoPE") == 2 * layers
    # An attention is one fused subgraph; unfused it would leave softmax nodes.
    assert kinds.count("Subgraph") >= layers
    assert "Softmax" not in kinds


def test_int8_products_are_quantised():
    config, encoder = build({})
    nodes = compiled_nodes(OpenVinoRuntime(config, encoder.state_dict(), dtype="int8"))
    products = [precision for kind, precision in nodes if kind == "FullyConnected"]
    assert products == ["i8"] * (7 * config.num_hidden_layers)


def test_weights_in_float32_are_not_copied():
    config, encoder = build({})
    weights = encoder.state_dict()
    runtime = OpenVinoRuntime(config, weights)
    name = "layers.0.mlp.in_proj.weight"
    assert np.shares_memory(runtime._weights[name], weights[name].numpy())


def test_unsupported_cases_say_why(monkeypatch):
    config, encoder = build({"intermediate_size": 90})
    with pytest.raises(BackendUnavailableError, match="groups of 32 or 64"):
        OpenVinoRuntime(config, encoder.state_dict(), dtype="int8")
    assert "not in float16" in unsupported(config, "float16")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(BackendUnavailableError) as caught:
        OpenVinoRuntime(config, encoder.state_dict())
    assert "mgte[cpu]" in caught.value.hint
