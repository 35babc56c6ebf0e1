"""Whatever stands in config.json or a side file: a model, or one of our errors."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mgte.errors import MgteError
from mgte.store import load_model
from mgte.store.families import FAMILIES, RawConfig, find_family

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=8), max_size=3),
    st.fixed_dictionaries(
        {}, optional={"type": st.sampled_from(["ntk", "linear", "x"]), "factor": st.floats()}
    ),
)
CONFIG = {
    "vocab_size": 20,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 20,
    "max_position_embeddings": 32,
}
KEYS = sorted(
    {
        *CONFIG,
        "model_type",
        "rope_scaling",
        "rope_parameters",
        "rope_theta",
        "layer_types",
        "hidden_act",
        "id2label",
        "architectures",
        "type_vocab_size",
        "pad_token_id",
        "local_attention",
        "num_key_value_heads",
        "head_dim",
        "auto_map",
        "quantization_config",
        "layer_norm_eps",
    }
)
CHANGES = st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1, max_size=3)


@given(family=st.sampled_from(sorted(FAMILIES)), changes=CHANGES)
@settings(max_examples=300, deadline=None)
def test_configs_are_read_or_refused(family: str, changes: dict) -> None:
    raw = RawConfig(values=CONFIG | {"model_type": family} | changes)
    try:
        found = find_family(raw)
        config = found.read_config(raw)
        head = found.read_head(raw, {"classifier.weight": (1, 16)})
        found.write_config(config, head)
    except MgteError as error:
        assert "\n" not in error.message


@given(changes=CHANGES)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_folders_are_loaded_or_refused(changes: dict, make_checkpoint, tmp_path: Path) -> None:
    checkpoint = make_checkpoint()
    checkpoint.edit_config(**changes)
    try:
        load_model(checkpoint.folder)
    except MgteError as error:
        assert "\n" not in error.message


@pytest.mark.parametrize(
    "name",
    ["modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"],
)
@given(content=st.recursive(VALUES, lambda inner: st.lists(inner, max_size=2), max_leaves=3))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_side_files_are_read_or_refused(name: str, content, make_checkpoint) -> None:
    checkpoint = make_checkpoint()
    (checkpoint.folder / name).write_text(json.dumps(content))
    try:
        load_model(checkpoint.folder)
    except MgteError as error:
        assert "\n" not in error.message
