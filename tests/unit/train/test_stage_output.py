"""How a stage's model is used: what is not said is the start's, through the whole chain."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.laws.training_runs import recipe_values, run_here, write_texts

from mgte.config import from_dict
from mgte.errors import ConfigError
from mgte.inference import Embedder
from mgte.model import EncoderConfig, HeadConfig, build_model, init_weights
from mgte.store import EmbeddingSettings, ModelDir, open_model, save_model
from mgte.train.recipe import OutputConfig, Recipe
from mgte.train.stage_output import settings_at_use, settled_recipe

SETTINGS = EmbeddingSettings(
    pooling="mean",
    normalize=False,
    prompts={"query": "ask: ", "passage": "text: ", "topic": "about: "},
    max_length=40,
)


@pytest.fixture
def start(tiny_config: EncoderConfig, tokenizer_folder: Path, generator: Any, tmp_path: Path):
    """A model folder with settings of its own, and what is read of it."""
    model = build_model(tiny_config, HeadConfig(), pooling="mean", family="gte")
    init_weights(model, tiny_config, generator=generator)
    folder = save_model(
        model,
        tmp_path / "start",
        "sentence-transformers",
        tokenizer=tokenizer_folder,
        settings=SETTINGS,
    )
    return open_model(folder)


def chain(*stages: dict[str, Any]) -> Recipe:
    values = recipe_values(Path("tokenizer"))
    first = {**values["stages"][0], "objective": {"kind": "contrastive"}}
    made = [{**first, "name": f"s{number}", **stage} for number, stage in enumerate(stages)]
    return from_dict(Recipe, {**values, "stages": made})


def outputs(recipe: Recipe, start: ModelDir | None) -> list[dict[str, Any]]:
    names = ("pooling", "normalize", "max_length", "query_prompt", "document_prompt")
    settled = settled_recipe(recipe, lambda name: start)
    # Settling what is settled changes nothing: runs keep it and read it again.
    assert settled_recipe(settled, lambda name: start) == settled
    return [{name: getattr(stage.output, name) for name in names} for stage in settled.stages]


def test_what_is_not_said_is_the_start_s_and_goes_on_through_the_chain(start: ModelDir) -> None:
    found = outputs(
        chain(
            {"init_from": "m"},
            {"init_from": "s0", "output": {"query_prompt": "", "pooling": "cls"}},
            {"init_from": "s1", "encoder": {"max_position_embeddings": 128}},
        ),
        start,
    )
    kept = {
        "pooling": "mean",
        "normalize": False,
        "max_length": 40,
        "query_prompt": "ask: ",
        "document_prompt": "text: ",
    }
    assert found[0] == kept
    assert found[1] == {**kept, "pooling": "cls", "query_prompt": ""}
    # Other positions have another limit.
    assert found[2] == {**found[1], "max_length": 0}


def test_from_scratch_nothing_is_left_open() -> None:
    plain = {
        "pooling": "cls",
        "normalize": True,
        "max_length": 0,
        "query_prompt": "",
        "document_prompt": "",
    }
    assert outputs(chain({"init_from": "scratch"}, {"init_from": "s0"}), None) == [plain, plain]


def test_a_reranker_takes_over_no_prompts(start: ModelDir) -> None:
    (found,) = outputs(chain({"init_from": "m", "objective": {"kind": "reranking"}}), start)
    assert (found["query_prompt"], found["document_prompt"]) == ("", "")


def test_a_model_that_reads_from_left_to_right_is_not_pooled_at_its_first_token(
    start: ModelDir,
) -> None:
    causal = replace(
        start,
        config=replace(start.config, is_causal=True),
        settings=replace(SETTINGS, pooling="last"),
    )
    recipe = chain({"init_from": "m"}, {"init_from": "s0"})
    assert [found["pooling"] for found in outputs(recipe, causal)] == ["last", "last"]
    recipe = chain({"init_from": "m"}, {"init_from": "s0", "output": {"pooling": "cls"}})
    with pytest.raises(ConfigError, match=r"^stages\.s1\.output\.pooling: got 'cls'.*'last'"):
        outputs(recipe, causal)


def test_settings_at_use_keep_what_a_recipe_has_no_words_for() -> None:
    found = settings_at_use(OutputConfig(query_prompt="q: "), SETTINGS, lowercase=True)
    assert found.prompts == {"topic": "about: ", "query": "q: ", "document": "text: "}
    assert (found.pooling, found.normalize, found.max_length) == ("mean", False, 40)
    assert found.lowercase
    # Where a prompt is the default, no prompt must be said to be none.
    default = replace(SETTINGS, prompts={"query": "ask: "}, default_prompt_name="query")
    found = settings_at_use(OutputConfig(document_prompt=""), default)
    assert (found.prompts, found.default_prompt_name) == (
        {"query": "ask: ", "document": ""},
        "query",
    )


@pytest.mark.parametrize("output", [{}, {"pooling": "last"}], ids=["start's", "last"])
def test_the_folder_of_a_stage_embeds_as_its_start_does(
    output: dict[str, Any], start: ModelDir, tmp_path: Path
) -> None:
    write_texts(tmp_path)
    values = recipe_values(Path(), steps=1)
    pairs = {
        "kind": "pairs",
        "sources": [
            {
                "path": "texts.jsonl",
                "source": "s",
                "language": "en",
                "fields": {"query": "text", "document": "text"},
            }
        ],
    }
    stage = {
        **values["stages"][0],
        "init_from": "start",
        "objective": {"kind": "contrastive"},
        "schedule": {"kind": "constant", "warmup": 0},
        # So small that nothing but the settings can make a difference.
        "optimizer": {"lr": 1e-12},
        "output": output,
    }
    stage["data"] = {**stage["data"], "max_query_length": 32, "dataset": "pairs"}
    recipe = {**values, "tokenizer": "", "encoder": None, "datasets": {"pairs": pairs}}
    result = run_here({**recipe, "stages": [stage]}, tmp_path / "out", tmp_path)
    assert result.model is not None
    opened = open_model(result.model)
    assert opened.settings == replace(
        SETTINGS,
        pooling=output.get("pooling", "mean"),
        prompts={"query": "ask: ", "document": "text: ", "topic": "about: "},
    )
    before, after = (
        Embedder.load(path, device="cpu", backend="torch-eager")
        for path in (tmp_path / "start", result.model)
    )
    texts = ["the moon and the sea", "bread"]
    for embed in ("encode_query", "encode_document"):
        a, b = (getattr(model, embed)(texts).dense for model in (before, after))
        assert (abs(a - b).max() < 1e-5) == (not output)
