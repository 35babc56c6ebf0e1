import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from mgte.errors import ConfigError
from mgte.model import HeadConfig, build_model
from mgte.store import EmbeddingSettings, TrainingFacts, load_model, open_model, save_model


def values_of(folder: Path) -> dict:
    return json.loads((folder / "config.json").read_text())


def names_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_transformers_format_writes_gte(make_checkpoint, tmp_path: Path) -> None:
    model = load_model(make_checkpoint("token_classification").folder)
    folder = save_model(model, tmp_path / "out")
    values = values_of(folder)
    assert values["model_type"] == "gte"
    assert values["architectures"] == ["GteForTokenClassification"]
    assert values["id2label"] == {"0": "LABEL_0"}
    assert values["torch_dtype"] == "float32"
    assert names_in(folder) == {"config.json", "model.safetensors", "README.md"}
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        assert file.metadata() == {"format": "pt"}
        assert "gte.layers.0.self_attn.q_proj.weight" in set(file.keys())


def test_sentence_transformers_format_adds_its_side_files(make_checkpoint, tmp_path) -> None:
    model = load_model(make_checkpoint().folder)
    settings = EmbeddingSettings(pooling="last", prompts={"query": "q: "}, max_length=20)
    folder = save_model(model, tmp_path / "out", "sentence-transformers", settings=settings)
    assert {
        "modules.json",
        "1_Pooling/config.json",
        "2_Normalize/config.json",
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
    } <= names_in(folder)
    assert open_model(folder).settings == settings


def test_vectors_that_are_not_normalised_stay_so(make_checkpoint, tmp_path: Path) -> None:
    model = load_model(make_checkpoint().folder)
    settings = EmbeddingSettings(normalize=False)
    folder = save_model(model, tmp_path / "out", "sentence-transformers", settings=settings)
    assert not open_model(folder).settings.normalize
    assert not (folder / "2_Normalize").exists()


def test_settings_follow_a_loaded_model(make_checkpoint, tmp_path: Path) -> None:
    model = load_model(make_checkpoint().folder)
    settings = EmbeddingSettings(pooling="mean", prompts={"query": "q: "}, max_length=20)
    save_model(model, tmp_path / "first", "sentence-transformers", settings=settings)
    save_model(load_model(tmp_path / "first"), tmp_path / "second", "sentence-transformers")
    assert open_model(tmp_path / "second").settings == settings


def test_a_built_model_keeps_its_pooling(tiny_config, tmp_path: Path) -> None:
    model = build_model(tiny_config, HeadConfig(), pooling="mean", family="gte")
    save_model(model, tmp_path / "out", "sentence-transformers")
    assert open_model(tmp_path / "out").settings.pooling == "mean"


def test_saving_over_the_loaded_folder_keeps_the_loaded_model_intact(make_checkpoint) -> None:
    folder = make_checkpoint().folder
    (folder / "model.safetensors.index.json").write_text("{}")
    (folder / "notes.txt").write_text("mine")
    model = load_model(folder)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    other = load_model(folder)
    with torch.no_grad():
        other.encoder.embeddings.word.weight.mul_(2)
    save_model(other, folder, "new")
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    again = load_model(folder).state_dict()["encoder.embeddings.word.weight"]
    assert torch.equal(again, 2 * before["encoder.embeddings.word.weight"])
    assert names_in(folder) == {"config.json", "model.safetensors", "README.md", "notes.txt"}


def test_a_failed_write_leaves_the_old_file(make_checkpoint, monkeypatch) -> None:
    folder = make_checkpoint().folder
    model = load_model(folder)
    before = (folder / "model.safetensors").read_bytes()

    def fail(tensors: dict, path: Path, metadata: dict) -> None:
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("mgte.store.save.save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        save_model(model, folder, "new")
    assert (folder / "model.safetensors").read_bytes() == before
    assert not [name for name in names_in(folder) if name.startswith(".")]


def test_files_follow_the_mask_of_the_user(make_checkpoint) -> None:
    folder = make_checkpoint().folder
    mask = os.umask(0)
    os.umask(mask)
    modes = {path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == {0o666 & ~mask}


def test_half_precision_is_written_as_it_is(make_checkpoint, tmp_path: Path) -> None:
    model = load_model(make_checkpoint().folder, dtype=torch.bfloat16)
    folder = save_model(model, tmp_path / "half")
    assert values_of(folder)["torch_dtype"] == "bfloat16"
    assert open_model(folder).dtype == "BF16"


def test_the_tokenizer_comes_along(make_checkpoint, tmp_path: Path, tokenizer_folder: Path) -> None:
    model = load_model(make_checkpoint().folder)
    save_model(model, tmp_path / "first", tokenizer=tokenizer_folder)
    folder = save_model(load_model(tmp_path / "first"), tmp_path / "second")
    tokenizer = tokenizer_folder / "tokenizer.json"
    assert (folder / "tokenizer.json").read_bytes() == tokenizer.read_bytes()
    # transformers knows no tokenizer by the name of `gte`.
    config = json.loads((folder / "tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"


def test_special_token_ids_survive(make_checkpoint, tmp_path: Path) -> None:
    checkpoint = make_checkpoint()
    checkpoint.edit_config(bos_token_id=7, auto_map={"AutoModel": "modeling.New"})
    folder = save_model(load_model(checkpoint.folder), tmp_path / "out")
    assert values_of(folder)["bos_token_id"] == 7
    assert "auto_map" not in values_of(folder)


def test_the_card_says_how_to_load_it(make_checkpoint, tmp_path: Path) -> None:
    model = load_model(make_checkpoint("sequence_classification").folder)
    card = (save_model(model, tmp_path / "out") / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers\npipeline_tag: text-ranking\n")
    assert 'mgte.Reranker.load(".")' in card


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"format": "onnx"}, "format: got 'onnx', expected one of transformers"),
        ({"tokenizer": "no/such"}, "tokenizer: no such folder no/such"),
    ],
)
def test_wrong_arguments_are_named(make_checkpoint, tmp_path, settings, message) -> None:
    model = load_model(make_checkpoint().folder)
    with pytest.raises(ConfigError) as caught:
        save_model(model, tmp_path / "out", **settings)
    assert message in str(caught.value)


def test_only_new_and_gte_are_written_as_new(tiny_config, tmp_path: Path) -> None:
    model = build_model(tiny_config, HeadConfig(), family="modernbert")
    with pytest.raises(ConfigError, match="got 'new' for a model of family 'modernbert'"):
        save_model(model, tmp_path / "out", "new")


def test_an_older_model_leaves_nothing_that_is_read(make_checkpoint, tmp_path: Path) -> None:
    config = load_model(make_checkpoint().folder).config
    old = build_model(config, HeadConfig(), pooling="mean", family="gte")
    folder = tmp_path / "out"
    save_model(old, folder, "sentence-transformers", int8=True, facts=TrainingFacts())
    (folder / "vocab.txt").write_text("old\n")
    (folder / "merges.txt").write_text("old\n")
    shards = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    for name in (*shards, "part.safetensors", "other.safetensors", "notes.txt"):
        (folder / name).write_bytes(b"x")
    index = {"weight_map": {"a": shards[0], "b": "part.safetensors", "c": "../x.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "x.safetensors").write_bytes(b"x")
    (folder / "1_Pooling" / "mine.txt").write_text("mine")
    new = make_checkpoint("sequence_classification", name="new").folder
    (new / "tokenizer.json").write_text("{}")
    (new / "vocab.txt").write_text("new\n")

    save_model(load_model(new), folder)

    assert names_in(folder) == {
        *("config.json", "model.safetensors", "README.md"),
        *("tokenizer.json", "tokenizer_config.json", "vocab.txt"),
        *("notes.txt", "other.safetensors", "1_Pooling/mine.txt"),
    }
    assert not (folder / "2_Normalize").exists()
    assert (tmp_path / "x.safetensors").is_file()
    assert (folder / "vocab.txt").read_text() == "new\n"
    assert "quantization_config" not in values_of(folder)
    assert open_model(folder).settings == open_model(new).settings
    assert open_model(folder).head.kind == "sequence_classification"


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_a_folder_says_after_saving_what_a_new_folder_says(
    make_checkpoint, tmp_path: Path, pooling
) -> None:
    old = load_model(make_checkpoint().folder)
    settings = EmbeddingSettings(pooling=pooling, prompts={"query": "q: "}, normalize=False)
    save_model(old, tmp_path / "out", "sentence-transformers", settings=settings)
    other = load_model(make_checkpoint(name="other").folder)
    for format in ("new", "transformers", "sentence-transformers"):
        save_model(other, tmp_path / "out", format)
        save_model(other, tmp_path / format, format)
        assert open_model(tmp_path / "out").settings == open_model(tmp_path / format).settings
    assert names_in(tmp_path / "out") == names_in(tmp_path / "sentence-transformers")


def test_a_model_saved_over_itself_keeps_its_settings(make_checkpoint, tmp_path: Path) -> None:
    settings = EmbeddingSettings(pooling="mean", prompts={"query": "q: "}, max_length=20)
    save_model(
        load_model(make_checkpoint().folder), tmp_path, "sentence-transformers", settings=settings
    )
    save_model(load_model(tmp_path), tmp_path, "transformers")
    assert open_model(tmp_path).settings == settings


def test_every_file_and_its_name_are_on_the_disk(make_checkpoint, tmp_path, monkeypatch) -> None:
    """fsync of a file comes before its name, and fsync of the folder after it."""
    model = load_model(make_checkpoint().folder)
    events: list[tuple[str, int]] = []
    fsync, replace = os.fsync, Path.replace

    def note_fsync(descriptor: int) -> None:
        events.append(("fsync", os.fstat(descriptor).st_ino))
        fsync(descriptor)

    def note_replace(path: Path, target: Path) -> Path:
        events.append(("name", path.stat().st_ino))
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_replace)
    folder = save_model(model, tmp_path / "out", "sentence-transformers")
    for path in (folder / name for name in names_in(folder)):
        named = events.index(("name", path.stat().st_ino))
        assert ("fsync", path.stat().st_ino) in events[:named]
        assert ("fsync", path.parent.stat().st_ino) in events[named:]
