import json
import logging
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mgte.errors import CheckpointError, ConfigError
from mgte.model import EmbeddingModel, MaskedLM, RerankerModel, build_model
from mgte.store import load_model, load_weights, model_dir_of, open_model, save_model
from mgte.store.families import FAMILIES, RawConfig, canonical_shapes

BERT = {
    "model_type": "bert",
    "vocab_size": 24,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 20,
    "max_position_embeddings": 32,
}
POOLER = {"bert.pooler.dense.weight": torch.ones(16, 16), "bert.pooler.dense.bias": torch.ones(16)}


def bert_masked_lm(folder: Path) -> Path:
    """A checkpoint as transformers saves BertForMaskedLM."""
    family = FAMILIES["bert"]
    raw = RawConfig(values=BERT)
    head = family.read_head(raw, {"cls.predictions.transform.dense.weight": (16, 16)})
    model = build_model(family.read_config(raw), head, family="bert")
    return save_model(model, folder)


@pytest.mark.parametrize(
    ("kind", "kind_of_model"),
    [
        ("none", EmbeddingModel),
        ("token_classification", EmbeddingModel),
        ("sequence_classification", RerankerModel),
        ("masked_lm", MaskedLM),
    ],
)
@pytest.mark.parametrize("as_new", [True, False])
def test_every_head_loads_as_its_model(make_checkpoint, kind, kind_of_model, as_new) -> None:
    checkpoint = make_checkpoint(kind, as_new=as_new)
    model = load_model(checkpoint.folder)
    assert isinstance(model, kind_of_model)
    assert model.head_config.kind == kind
    assert model.family == ("new" if as_new else "gte")
    assert not model.training
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_opening_reads_everything_but_the_weights(make_checkpoint) -> None:
    checkpoint = make_checkpoint("token_classification")
    opened = open_model(str(checkpoint.folder))
    assert opened.name == str(checkpoint.folder)
    assert opened.family == "new"
    assert opened.dtype == "F32"
    assert opened.head.labels == ("LABEL_0",)
    assert opened.tokenizer_file is None
    (checkpoint.folder / "tokenizer.json").write_text("{}")
    assert opened.tokenizer_file == checkpoint.folder / "tokenizer.json"
    loaded = load_weights(opened)
    count = sum(parameter.numel() for parameter in loaded.model.parameters())
    assert opened.num_parameters == count
    assert model_dir_of(loaded.model) is opened


def test_models_that_were_built_have_no_folder(tiny_config) -> None:
    family = FAMILIES["new"]
    assert (
        model_dir_of(
            build_model(tiny_config, family.read_head(RawConfig(values={}), {}), family="new")
        )
        is None
    )


def test_weights_are_loaded_in_the_wanted_type_and_place(make_checkpoint) -> None:
    folder = make_checkpoint().folder
    model = load_model(folder, dtype=torch.bfloat16, device="cpu")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    with pytest.raises(ConfigError, match=r"dtype: got torch\.int8"):
        load_model(folder, dtype=torch.int8)


def test_loading_does_not_import_the_compiler(make_checkpoint) -> None:
    code = (
        "import sys; from mgte.store import load_model; load_model(sys.argv[1]); "
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    folder = make_checkpoint().folder
    assert subprocess.run([sys.executable, "-c", code, folder], check=False).returncode == 0


def test_the_table_of_known_models_needs_no_torch() -> None:
    code = "import sys; from mgte.store import KNOWN_MODELS; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_attention_can_be_made_causal_or_not_when_loading(make_checkpoint) -> None:
    folder = make_checkpoint().folder
    assert not load_model(folder).config.is_causal
    assert load_model(folder, is_causal=True).config.is_causal


def test_config_errors_name_the_file(make_checkpoint) -> None:
    checkpoint = make_checkpoint()
    checkpoint.edit_config(rope_theta=0)
    with pytest.raises(ConfigError) as caught:
        load_model(checkpoint.folder)
    assert f"{checkpoint.folder / 'config.json'}: rope.theta: got 0.0" in caught.value.message


def test_the_vocabulary_of_the_config_must_be_that_of_the_weights(make_checkpoint) -> None:
    checkpoint = make_checkpoint()
    checkpoint.edit_config(vocab_size=9)
    with pytest.raises(
        CheckpointError, match=r"word_embeddings\.weight has shape .*expected \[9, "
    ):
        load_model(checkpoint.folder)


def test_a_folder_must_be_a_model_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json: no such file"):
        load_model(tmp_path)


def test_heads_that_nobody_reads_are_dropped_with_a_log_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = bert_masked_lm(tmp_path / "bert")
    extra = POOLER | {"cls.seq_relationship.weight": torch.ones(2, 16)}
    save_file(load_file(folder / "model.safetensors") | extra, folder / "model.safetensors")
    with caplog.at_level(logging.INFO, logger="mgte"):
        assert isinstance(load_model(folder), MaskedLM)
    assert "not read, no model here uses them: bert.pooler.dense.bias" in caplog.text
    assert "cls.seq_relationship.weight" in caplog.text


def test_the_first_berts_names_of_norms_are_understood(tmp_path: Path) -> None:
    folder = bert_masked_lm(tmp_path / "bert")
    before = load_model(folder).logits_ids([[2, 5, 3]])[0]
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in load_file(folder / "model.safetensors").items()
    }
    assert any(name.endswith("gamma") for name in old)
    save_file(old, folder / "model.safetensors")
    assert torch.allclose(load_model(folder).logits_ids([[2, 5, 3]])[0], before, atol=1e-6)


def test_token_classification_wins_over_a_pooler_that_is_there_too(tmp_path: Path) -> None:
    folder = bert_masked_lm(tmp_path / "bert")
    tensors = {
        name: tensor
        for name, tensor in load_file(folder / "model.safetensors").items()
        if not name.startswith("cls.")
    }
    classifier = {"classifier.weight": torch.ones(5, 16), "classifier.bias": torch.ones(5)}
    save_file(tensors | POOLER | classifier, folder / "model.safetensors")
    path = folder / "config.json"
    path.write_text(json.dumps(BERT | {"architectures": ["BertForTokenClassification"]}))
    model = load_model(folder)
    assert model.head_config.kind == "token_classification"
    assert model.logits_ids([[2, 5, 3]])[0].shape == (3, 5)


# Totals of the published checkpoints (FACTS 2.3); the sparse head of the first has one label.
PUBLISHED = {
    "gte-multilingual-base": ({"classifier.weight": (1, 768)}, 305_369_089),
    "gte-multilingual-mlm-base": ({"lm_head.dense.weight": (768, 768)}, 306_210_496),
    "gte-multilingual-reranker-base.PARTIAL_rope_unknown": (
        {"classifier.weight": (1, 768), "pooler.dense.weight": (768, 768)},
        305_959_681,
    ),
    "gte-base-en-v1.5": ({}, 136_776_192),
    "gte-large-en-v1.5": ({}, 434_139_136),
    "gte-en-mlm-base.DEDUCED": ({"lm_head.dense.weight": (768, 768)}, 137_398_848),
    "gte-en-mlm-large.DEDUCED": ({"lm_head.dense.weight": (1024, 1024)}, 435_221_312),
    "snowflake-arctic-embed-m-v2.0": ({}, 305_368_320),
    "gte-modernbert-base.DERIVED": ({}, 149_014_272),
    "gte-reranker-modernbert-base.DERIVED": ({"classifier.weight": (1, 768)}, 149_605_633),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_configs_have_the_published_number_of_parameters(name: str, shared: Path) -> None:
    path = shared / "reference" / "configs" / f"{name}.json"
    raw = RawConfig(values=json.loads(path.read_text()), where=path.name)
    tensors, total = PUBLISHED[name]
    family = FAMILIES[raw.text("model_type")]
    shapes = canonical_shapes(family.read_config(raw), family.read_head(raw, tensors))
    assert sum(math.prod(shape) for shape in shapes.values()) == total
