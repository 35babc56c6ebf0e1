"""Weights of 8 bits: near the originals, read alike by us and by transformers, checked."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mgte.errors import CheckpointError
from mgte.model import build_model, init_weights
from mgte.packing import pack
from mgte.store import load_model, open_model, save_model
from mgte.store.int8_weights import dequantize, quantize_weights

HEADS = ("none", "token_classification", "sequence_classification")


def test_a_value_moves_by_half_a_step_of_its_row_at_most() -> None:
    values = torch.randn(64, 32, generator=torch.Generator().manual_seed(1))
    values[3] = 0.0
    values[5] *= 1000
    written = quantize_weights({"a.weight": values, "a.bias": values[0], "b.weight": values[:4]})
    assert written["a.weight"].dtype == torch.int8
    assert written["a.weight_scale"].shape == (64, 1)
    assert written["a.bias"] is values[0] or torch.equal(written["a.bias"], values[0])
    assert torch.equal(written["b.weight"], values[:4])
    again = dequantize(written["a.weight"], written["a.weight_scale"])
    step = values.abs().amax(1, keepdim=True) / 127
    assert bool(((again - values).abs() <= step / 2 + 1e-7).all())
    assert torch.equal(again[3], values[3])


@pytest.mark.parametrize("head", HEADS)
def test_a_saved_folder_loads_as_nearly_the_same_model(head, make_checkpoint, tmp_path) -> None:
    model = load_model(make_checkpoint(head).folder)
    folder = save_model(model, tmp_path / "out", int8=True)
    whole = save_model(model, tmp_path / "whole")
    opened = open_model(folder)
    assert opened.dtype == "I8"
    assert opened.num_parameters == open_model(whole).num_parameters
    again = load_model(folder)
    assert again.head_config == model.head_config
    batch = pack([[1, 5, 9, 2], [1, 7, 2]])
    with torch.no_grad():
        states, close = model.encoder(batch), again.encoder(batch)
    assert torch.nn.functional.cosine_similarity(states, close).min() > 0.999
    # Saved anew, they are ordinary weights with the same values.
    third = load_model(save_model(again, tmp_path / "third"))
    assert open_model(tmp_path / "third").dtype == "F32"
    for name, tensor in again.state_dict().items():
        assert torch.equal(third.state_dict()[name], tensor), name


def test_bringing_to_8_bits_twice_changes_nothing_more(make_checkpoint, tmp_path: Path) -> None:
    once = load_model(save_model(load_model(make_checkpoint().folder), tmp_path / "a", int8=True))
    twice = load_model(save_model(once, tmp_path / "b", int8=True))
    for name, tensor in once.state_dict().items():
        torch.testing.assert_close(twice.state_dict()[name], tensor, rtol=1e-6, atol=1e-8)


def test_transformers_reads_the_same_weights(tiny_config, tmp_path: Path) -> None:
    pytest.importorskip("compressed_tensors")
    from dataclasses import replace

    from transformers import AutoModel

    from mgte.model import HeadConfig

    config = replace(
        tiny_config,
        rope=None,
        position_embedding_type="absolute",
        gated_mlp=False,
        mlp_in_bias=True,
        type_vocab_size=2,
    )
    model = build_model(config, HeadConfig(), pooling="mean", family="bert")
    init_weights(model, config, generator=torch.Generator().manual_seed(2))
    save_model(model, tmp_path, int8=True)
    theirs = AutoModel.from_pretrained(tmp_path, add_pooling_layer=False).eval()
    ours = load_model(tmp_path)
    ids = [1, 5, 9, 2]
    with torch.no_grad():
        expected = theirs(input_ids=torch.tensor([ids])).last_hidden_state[0]
        torch.testing.assert_close(ours.encoder(pack([ids])), expected, rtol=1e-5, atol=1e-5)


def test_a_scale_of_the_wrong_shape_is_named(make_checkpoint, tmp_path: Path) -> None:
    folder = save_model(load_model(make_checkpoint().folder), tmp_path, int8=True)
    tensors = load_file(folder / "model.safetensors")
    name = next(name for name in tensors if name.endswith("_scale"))
    tensors[name] = tensors[name][:-1].clone()
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="expected one number per row"):
        open_model(folder)


def test_8_bits_without_a_scale_are_refused(make_checkpoint, tmp_path: Path) -> None:
    folder = save_model(load_model(make_checkpoint().folder), tmp_path, int8=True)
    tensors = load_file(folder / "model.safetensors")
    for name in [name for name in tensors if name.endswith("_scale")]:
        del tensors[name]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="has type I8"):
        load_model(folder)
