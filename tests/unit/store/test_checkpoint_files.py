"""Damaged and unusual files: each is refused with one sentence that names the place, or loads."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mgte.errors import CheckpointError, ConfigError, MgteError
from mgte.store import load_model

WORD = "embeddings.word_embeddings.weight"
NORM = "encoder.layer.0.attn_ln.weight"


def message_of(folder: Path, error: type[MgteError] = CheckpointError) -> str:
    with pytest.raises(error) as caught:
        load_model(folder)
    text = str(caught.value)
    assert text.count("\n") <= 2
    assert str(folder) in text
    return text


def shard(folder: Path, num_shards: int) -> dict[str, str]:
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    table = {}
    for index in range(num_shards):
        file = f"model-{index + 1:05}-of-{num_shards:05}.safetensors"
        mine = names[index::num_shards]
        save_file({name: tensors[name] for name in mine}, folder / file)
        table |= dict.fromkeys(mine, file)
    (folder / "model.safetensors").unlink()
    write_index(folder, table)
    return table


def write_index(folder: Path, table: object) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": table}))


@pytest.mark.parametrize("size", [1, 7, 9, 200, -1])
def test_truncated_files_are_refused(make_checkpoint, size: int) -> None:
    checkpoint = make_checkpoint()
    checkpoint.weights.write_bytes(checkpoint.weights.read_bytes()[:size])
    assert "model.safetensors: truncated or damaged" in message_of(checkpoint.folder)


def test_damaged_headers_are_refused(make_checkpoint) -> None:
    checkpoint = make_checkpoint()
    checkpoint.weights.write_bytes(b"\xff" * 4096)
    assert "truncated or damaged" in message_of(checkpoint.folder)


def test_empty_files_are_refused(make_checkpoint) -> None:
    checkpoint = make_checkpoint()
    checkpoint.weights.write_bytes(b"")
    assert "model.safetensors: is empty" in message_of(checkpoint.folder)


def test_git_lfs_pointers_are_recognised(make_checkpoint) -> None:
    checkpoint = make_checkpoint()
    checkpoint.weights.write_text("version https://git-lfs.github.com/spec/v1\nsize 12\n")
    assert "git lfs pull" in message_of(checkpoint.folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "m.pt"])
def test_pickles_are_refused_with_the_way_to_convert_them(make_checkpoint, name: str) -> None:
    checkpoint = make_checkpoint()
    checkpoint.weights.rename(checkpoint.folder / name)
    text = message_of(checkpoint.folder)
    assert f"only the pickle file {name}" in text
    assert "weights_only=True" in text


def test_the_conversion_hint_works(make_checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = make_checkpoint()
    tensors = load_file(checkpoint.weights)
    torch.save(tensors, checkpoint.folder / "pytorch_model.bin")
    checkpoint.weights.unlink()
    text = message_of(checkpoint.folder)
    monkeypatch.chdir(checkpoint.folder)
    exec(text.partition("with python: ")[2], {})
    state = load_model(checkpoint.folder).state_dict()
    assert torch.equal(state["encoder.embeddings.word.weight"], tensors[WORD])


def test_folders_without_weights_say_so(make_checkpoint) -> None:
    checkpoint = make_checkpoint()
    checkpoint.weights.unlink()
    assert "has no model.safetensors" in message_of(checkpoint.folder)
    (checkpoint.folder / "adapter_config.json").write_text("{}")
    assert "adapter without its model" in message_of(checkpoint.folder)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "config.json: is not JSON at line 1"),
        (b"{", "config.json: is not JSON at line 1"),
        (b"\xff\xfe\x00", "config.json: is not JSON"),
        (b"[1]", "config.json: got a list, expected an object"),
        (b"{}", "config.json: model_type: missing"),
        (b"[" * 100_000, "config.json: is not JSON"),
    ],
)
def test_damaged_configs_are_refused(make_checkpoint, content: bytes, expected: str) -> None:
    checkpoint = make_checkpoint()
    (checkpoint.folder / "config.json").write_bytes(content)
    assert expected in message_of(checkpoint.folder, ConfigError)


def test_a_missing_config_is_named(make_checkpoint) -> None:
    checkpoint = make_checkpoint()
    (checkpoint.folder / "config.json").unlink()
    assert "config.json: no such file" in message_of(checkpoint.folder)


def test_shards_load_as_one(make_checkpoint) -> None:
    checkpoint = make_checkpoint()
    before = load_model(checkpoint.folder).state_dict()
    before = {name: tensor.clone() for name, tensor in before.items()}
    shard(checkpoint.folder, 3)
    after = load_model(checkpoint.folder).state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_missing_shards_are_named(make_checkpoint) -> None:
    checkpoint = make_checkpoint()
    table = shard(checkpoint.folder, 3)
    (checkpoint.folder / table[WORD]).unlink()
    assert f"names the shard {table[WORD]}, which is not there" in message_of(checkpoint.folder)


def test_an_index_must_not_lead_out_of_the_folder(make_checkpoint) -> None:
    checkpoint = make_checkpoint()
    table = shard(checkpoint.folder, 2)
    write_index(checkpoint.folder, table | {WORD: "../elsewhere.safetensors"})
    assert "expected the name of a file in the folder" in message_of(checkpoint.folder)


def test_an_index_that_is_wrong_is_refused(make_checkpoint) -> None:
    checkpoint = make_checkpoint()
    table = shard(checkpoint.folder, 2)
    other = next(file for file in table.values() if file != table[WORD])
    write_index(checkpoint.folder, table | {WORD: other})
    assert f"tensor {WORD} is not in {other}" in message_of(checkpoint.folder)
    write_index(checkpoint.folder, {})
    assert "weight_map: missing or empty" in message_of(checkpoint.folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(make_checkpoint, value: float) -> None:
    checkpoint = make_checkpoint()
    checkpoint.edit_tensors(lambda tensors: tensors[NORM].__setitem__(3, value))
    assert f"tensor {NORM} holds NaN or infinite values" in message_of(checkpoint.folder)


def test_finite_weights_whose_sum_overflows_are_fine(make_checkpoint) -> None:
    checkpoint = make_checkpoint()
    checkpoint.edit_tensors(lambda tensors: tensors[NORM].fill_(3e38))
    assert load_model(checkpoint.folder).config.hidden_size == 32


def test_values_that_do_not_fit_the_wanted_type_are_named(make_checkpoint) -> None:
    checkpoint = make_checkpoint()
    checkpoint.edit_tensors(lambda tensors: tensors[NORM].fill_(1e6))
    with pytest.raises(CheckpointError, match="does not fit into float16"):
        load_model(checkpoint.folder, dtype=torch.float16)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_float_types_are_converted(make_checkpoint, dtype: torch.dtype) -> None:
    checkpoint = make_checkpoint()
    checkpoint.edit_tensors(
        lambda tensors: tensors.update({name: value.to(dtype) for name, value in tensors.items()})
    )
    parameters = list(load_model(checkpoint.folder).parameters())
    assert {parameter.dtype for parameter in parameters} == {torch.float32}


def test_integer_weights_are_refused(make_checkpoint) -> None:
    checkpoint = make_checkpoint()
    checkpoint.edit_tensors(lambda tensors: tensors.update({NORM: tensors[NORM].to(torch.int8)}))
    assert f"tensor {NORM} has type I8, expected one of F32" in message_of(checkpoint.folder)


def test_wrong_shapes_name_tensor_and_both_shapes(make_checkpoint) -> None:
    checkpoint = make_checkpoint()
    checkpoint.edit_tensors(lambda tensors: tensors.update({NORM: tensors[NORM][:5].clone()}))
    text = message_of(checkpoint.folder)
    assert f"tensor {NORM} has shape [5], expected [32] from config.json" in text
