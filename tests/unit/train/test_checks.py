"""Recipes that cannot work: each is refused before any work, with the key's path."""

import json
from pathlib import Path
from typing import Any

import pytest

from mgte.config import from_dict, override, read_yaml
from mgte.errors import ConfigError
from mgte.train import Recipe, check_recipe

RECIPES = sorted((Path(__file__).parents[3] / "recipes").glob("*.yaml"))

GOOD: dict[str, Any] = {
    "name": "good",
    "seed": 1,
    "tokenizer": {"vocab_size": 1000, "datasets": ["texts"]},
    "encoder": {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 128,
    },
    "datasets": {
        "texts": {"kind": "texts", "sources": []},
        "groups": {"kind": "groups", "sources": []},
        "taught": {"kind": "vectors", "sources": [], "teacher": "t"},
    },
    "stages": [
        {
            "name": "mlm",
            "init_from": "scratch",
            "objective": {"kind": "masked_lm"},
            "data": {"dataset": "texts", "max_length": 128, "rows_per_batch": 4},
            "optimizer": {"lr": 1e-3},
            "schedule": {"kind": "wsd"},
            "steps": 100,
        },
        {
            "name": "embed",
            "init_from": "mlm",
            "objective": {"kind": "embedding"},
            "data": {
                "dataset": "groups",
                "max_length": 64,
                "max_query_length": 32,
                "buckets": [{"up_to": 32, "rows": 8}, {"up_to": 64, "rows": 4}],
            },
            "optimizer": {"lr": 1e-3},
            "schedule": {},
            "steps": 100,
        },
    ],
}

BAD = {
    r"stages: got none": {"stages": []},
    r"^encoder: missing": {"encoder": None},
    r"^encoder\.num_attention_heads": {"encoder.num_attention_heads": 5},
    r"^tokenizer: missing": {"tokenizer": ""},
    r"^tokenizer\.datasets\.0: no dataset 'x'": {"tokenizer.datasets": ["x"]},
    r"^datasets\.taught\.teacher": {"datasets.taught.teacher": ""},
    r"stages\.1\.name: 'mlm' is there twice": {"stages.1.name": "mlm"},
    r"stages\.0\.name: got 'a/b'": {"stages.0.name": "a/b"},
    r"stages\.mlm\.init_from: stage 'embed' comes later": {"stages.0.init_from": "embed"},
    r"stages\.embed\.init_from: stage 'embed' comes later": {"stages.1.init_from": "embed"},
    r"stages\.embed\.init_from: is empty": {"stages.1.init_from": ""},
    r"stages\.embed\.data\.dataset: 'texts' holds texts, expected pairs or groups": {
        "stages.1.data.dataset": "texts"
    },
    r"stages\.embed\.data\.dataset: no dataset 'none'": {"stages.1.data.dataset": "none"},
    r"stages\.mlm\.data\.max_length: got 256, expected at most max_position_embeddings=128": {
        "stages.0.data.max_length": 256
    },
    r"stages\.mlm\.data\.tokens_per_chunk": {"stages.0.data.tokens_per_chunk": 100},
    r"stages\.embed\.data\.buckets: end at 32": {
        "stages.1.data.buckets": [{"up_to": 32, "rows": 8}]
    },
    r"stages\.embed\.data\.buckets: got up_to \[64, 32\]": {
        "stages.1.data.buckets": [{"up_to": 64, "rows": 8}, {"up_to": 32, "rows": 8}]
    },
    r"stages\.mlm\.steps: got 0": {"stages.0.steps": 0},
    r"stages\.mlm\.log_every": {"stages.0.log_every": 0},
    r"stages\.mlm\.checkpoint\.keep_last": {"stages.0.checkpoint": {"keep_last": 0}},
    r"stages\.mlm\.optimizer\.lr": {"stages.0.optimizer.lr": 0},
    r"stages\.mlm\.schedule": {"stages.0.schedule": {"kind": "wsd", "warmup": 60, "decay": 50}},
    r"stages\.embed\.objective\.dims: got 64": {"stages.1.objective.dims": [32, 64]},
    r"stages\.embed\.data\.max_query_length: got 200, expected at most .*=128": {
        "stages.1.data.max_query_length": 200
    },
    r"stages\.embed\.output\.weights: got 'best', which needs stages\.embed\.evaluation": {
        "stages.1.output.weights": "best"
    },
    r"^stages\.embed: .*temperature": {"stages.1.objective.temperature": 0.0},
    r"stages\.mlm\.parallel": {"stages.0.parallel": "fsdp", "stages.0.lora": {}},
}


def check(changes: dict[str, Any], root: Path) -> None:
    check_recipe(from_dict(Recipe, override(GOOD, changes)), root=root)


@pytest.mark.parametrize("message", BAD)
def test_what_cannot_work_is_refused_by_its_key(message: str, tmp_path: Path) -> None:
    check({}, tmp_path)
    with pytest.raises(ConfigError, match=message):
        check(BAD[message], tmp_path)


def test_longer_inputs_need_a_change_of_the_encoder(tmp_path: Path) -> None:
    longer = {"stages.0.data.max_length": 256}
    check({**longer, "stages.0.encoder": {"max_position_embeddings": 256}}, tmp_path)
    # The change holds for the stages that start from there.
    buckets = [{"up_to": 256, "rows": 8}]
    both = {"stages.1.data.max_length": 256, "stages.1.data.buckets": buckets}
    check({**both, "stages.0.encoder": {"max_position_embeddings": 256}}, tmp_path)
    with pytest.raises(ConfigError, match=r"stages\.embed\.data\.max_length: got 256"):
        check(both, tmp_path)


def test_a_reranker_s_query_is_part_of_its_input(tmp_path: Path) -> None:
    reranker = {"stages.1.objective": {"kind": "reranking"}, "stages.1.data.max_query_length": 200}
    check(reranker, tmp_path)


def test_a_prepared_folder_tells_its_kind(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "manifest.json").write_text(json.dumps({"kind": "pairs"}))
    check({"stages.1.data.dataset": "made"}, tmp_path)
    with pytest.raises(ConfigError, match="'made' holds pairs, expected texts"):
        check({"stages.0.data.dataset": "made"}, tmp_path)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_our_recipes_pass(path: Path) -> None:
    check_recipe(from_dict(Recipe, read_yaml(path)))
