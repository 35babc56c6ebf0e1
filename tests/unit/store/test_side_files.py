import json
from pathlib import Path
from typing import Any

import pytest

from mgte.errors import ConfigError
from mgte.model import EncoderConfig
from mgte.store.families import FAMILIES, RawConfig
from mgte.store.side_files import (
    GTE_QWEN_QUERY,
    EmbeddingSettings,
    read_settings,
    transformer_folder,
)

OLD = "sentence_transformers.models"
NEW = "sentence_transformers.base.modules"


def write(folder: Path, **files: Any) -> None:
    names = {
        "modules": "modules.json",
        "pooling": "1_Pooling/config.json",
        "transformer": "sentence_bert_config.json",
        "sentence": "config_sentence_transformers.json",
        "tokenizer": "tokenizer_config.json",
    }
    for key, content in files.items():
        path = folder / names[key]
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(json.dumps(content))


def modules(*types: str, paths: tuple[str, ...] = ("", "1_Pooling", "2_Normalize")) -> list:
    return [
        {"idx": index, "name": str(index), "path": path, "type": kind}
        for index, (kind, path) in enumerate(zip(types, paths, strict=False))
    ]


def settings_of(folder: Path, config: EncoderConfig, family: str = "new") -> EmbeddingSettings:
    return read_settings(folder, FAMILIES[family], config)


@pytest.mark.parametrize(
    ("family", "pooling"),
    [
        ("new", "cls"),
        ("gte", "cls"),
        ("modernbert", "cls"),
        ("bert", "mean"),
        ("xlm-roberta", "mean"),
        ("qwen2", "last"),
    ],
)
def test_without_side_files_the_family_decides(tmp_path, tiny_config, family, pooling) -> None:
    settings = settings_of(tmp_path, tiny_config, family)
    assert settings.pooling == pooling
    assert settings.normalize
    assert settings.max_length is None
    assert settings.similarity == "cosine"


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ({"word_embedding_dimension": 32, "pooling_mode_cls_token": True}, "cls"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
        ({"pooling_mode_max_tokens": True}, "max"),
        ({"pooling_mode_lasttoken": True}, "last"),
        ({"pooling_mode_cls_token": False}, "mean"),
        ({"embedding_dimension": 32, "pooling_mode": "cls", "include_prompt": True}, "cls"),
        ({"pooling_mode": "lasttoken"}, "last"),
        ({"pooling_mode": ["max"]}, "max"),
    ],
    ids=str,
)
def test_both_spellings_of_pooling_are_read(tmp_path, tiny_config, pooling, expected) -> None:
    types = (f"{OLD}.Transformer", f"{OLD}.Pooling")
    write(tmp_path, modules=modules(*types), pooling=pooling)
    settings = settings_of(tmp_path, tiny_config, "bert")
    assert settings.pooling == expected
    assert not settings.normalize


def test_both_spellings_of_modules_are_read(tmp_path: Path, tiny_config) -> None:
    new = (
        f"{NEW}.transformer.Transformer",
        "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
        f"{NEW}.normalize.Normalize",
    )
    for types in (new, tuple(f"{OLD}.{name.rpartition('.')[2]}" for name in new)):
        write(tmp_path, modules=modules(*types), pooling={"pooling_mode": "max"})
        settings = settings_of(tmp_path, tiny_config)
        assert settings.pooling == "max"
        assert settings.normalize


def test_prompts_limits_and_similarity_are_read(tmp_path: Path, tiny_config) -> None:
    write(
        tmp_path,
        transformer={"max_seq_length": 256, "do_lower_case": True},
        sentence={
            "prompts": {"query": "query: ", "document": None},
            "default_prompt_name": "query",
            "similarity_fn_name": "dot",
        },
        tokenizer={"model_max_length": 512},
    )
    assert settings_of(tmp_path, tiny_config) == EmbeddingSettings(
        prompts={"query": "query: ", "document": ""},
        default_prompt_name="query",
        max_length=256,
        lowercase=True,
        similarity="dot",
    )


@pytest.mark.parametrize(("limit", "expected"), [(512, 512), (10**30, None), (1e30, None)])
def test_the_tokenizer_states_the_limit_where_nothing_else_does(
    tmp_path: Path, tiny_config, limit, expected
) -> None:
    write(tmp_path, tokenizer={"model_max_length": limit}, transformer={"max_seq_length": None})
    assert settings_of(tmp_path, tiny_config).max_length == expected


def test_gte_qwen_without_side_files_has_its_instruction(tmp_path: Path) -> None:
    sizes = {
        "vocab_size": 8,
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "intermediate_size": 8,
        "max_position_embeddings": 8,
    }
    for is_causal, prompts in ((False, {"query": GTE_QWEN_QUERY}), (True, {})):
        raw = RawConfig(values=sizes | {"is_causal": is_causal})
        config = FAMILIES["qwen2"].read_config(raw)
        assert settings_of(tmp_path, config, "qwen2").prompts == prompts


def test_the_transformer_may_lie_in_a_sub_folder(tmp_path: Path, tiny_config) -> None:
    types = (f"{OLD}.Transformer", f"{OLD}.Pooling")
    paths = ("0_Transformer", "1_Pooling")
    write(tmp_path, modules=modules(*types, paths=paths), pooling={"pooling_mode": "cls"})
    write(tmp_path / "0_Transformer", transformer={"max_seq_length": 100})
    assert transformer_folder(tmp_path) == tmp_path / "0_Transformer"
    assert settings_of(tmp_path, tiny_config).max_length == 100


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"pooling": {"pooling_mode": "weightedmean"}}, "pooling_mode: got 'weightedmean'"),
        ({"pooling": {"pooling_mode": ["cls", "mean"]}}, "pooling_mode: got ['cls', 'mean']"),
        ({"pooling": {"pooling_mode_weightedmean_tokens": True}}, "got 'weightedmean'"),
        ({"pooling": {"include_prompt": False}}, "include_prompt: got False, expected true"),
        ({"pooling": []}, "config.json: got a list, expected an object"),
        ({"modules": {}}, "modules.json: got an object, expected a list of objects"),
        ({"modules": [3]}, "modules.json: 0: got 3, expected an object"),
        ({"modules": modules(f"{OLD}.Dense")}, "0.type: got 'sentence_transformers.models.Dense'"),
        ({"modules": modules("custom_st.Transformer")}, "0.type: got 'custom_st.Transformer'"),
        ({"modules": [{"path": ""}]}, "0.type: missing"),
        (
            {"modules": modules(f"{OLD}.Pooling", paths=("../1_Pooling",))},
            "0.path: got '../1_Pooling', expected a folder inside the model folder",
        ),
        ({"sentence": {"default_prompt_name": "q"}}, "default_prompt_name: got 'q'"),
        ({"sentence": {"prompts": {"q": 1}}}, "prompts.q: got 1, expected a string"),
        ({"sentence": {"similarity_fn_name": "hamming"}}, "similarity_fn_name: got 'hamming'"),
        ({"transformer": {"max_seq_length": 0}}, "max_seq_length: got 0, expected at least 1"),
        ({"transformer": {"max_seq_length": "x"}}, "max_seq_length: got 'x', expected a number"),
    ],
    ids=str,
)
def test_unsupported_settings_are_named(tmp_path, tiny_config, files, message) -> None:
    types = (f"{OLD}.Transformer", f"{OLD}.Pooling")
    write(tmp_path, **({"modules": modules(*types), "pooling": {}} | files))
    with pytest.raises(ConfigError) as caught:
        settings_of(tmp_path, tiny_config)
    assert message in str(caught.value)
    assert str(tmp_path) in str(caught.value)
