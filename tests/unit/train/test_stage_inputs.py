"""A dry run refuses what a run refuses, and only names what is on another machine."""

from pathlib import Path
from typing import Any

import pytest
from tests.laws.training_runs import recipe_values, run_here

from mgte.config import from_dict, override
from mgte.errors import ConfigError, DataError
from mgte.model import EncoderConfig, HeadConfig, build_model
from mgte.store import save_model
from mgte.train import LookAhead, Recipe, RunOptions, World, look_ahead


@pytest.fixture
def values(tokenizer_folder: Path) -> dict[str, Any]:
    values = recipe_values(tokenizer_folder, steps=2, schedule={"kind": "linear"})
    return {**values, "stages": [*values["stages"], {**values["stages"][0], "name": "more"}]}


@pytest.fixture(autouse=True)
def known_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mgte.train.stage_inputs.measure_speed", lambda *given: 1e11)


def look(values: dict[str, Any], root: Path, out: Path) -> LookAhead:
    options = RunOptions(data_root=root)
    return look_ahead(from_dict(Recipe, values), out, world=World(), options=options)


@pytest.fixture
def short_start(tiny_config: EncoderConfig, tokenizer_folder: Path, root: Path) -> str:
    """A model of 64 positions."""
    model = build_model(tiny_config, HeadConfig(), pooling="cls", family="gte")
    save_model(model, root / "short", "sentence-transformers", tokenizer=tokenizer_folder)
    return "short"


REFUSED = {
    r"max_length: got 100, expected at most max_position_embeddings=64": {
        "stages.1.init_from": "short",
        "stages.1.data.max_length": 100,
        "stages.1.data.tokens_per_chunk": 100,
    },
    r"encoder\.vocabulary|knows \d+ tokens": {"stages.1.init_from": "few"},
    r"config\.json": {"stages.1.init_from": "broken"},
    "temperature|cache": {
        "datasets.texts.kind": "pairs",
        "datasets.texts.sources.0.fields": {"query": "text", "document": "text"},
        "stages.0.objective": {"kind": "contrastive", "temperature": 0.0},
        "stages.0.data.max_query_length": 32,
        "stages.1.objective": {"kind": "contrastive"},
        "stages.1.data.max_query_length": 32,
    },
    r"not_there|column|field": {"datasets.texts.sources.0.fields": {"text": "not_there"}},
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_a_run_refuses_a_dry_run_refuses(
    message: str,
    values: dict[str, Any],
    root: Path,
    tmp_path: Path,
    short_start: str,
    tiny_config: EncoderConfig,
    tokenizer_folder: Path,
) -> None:
    from dataclasses import replace

    (root / "broken").mkdir()
    few = replace(tiny_config, vocab_size=20)
    model = build_model(few, HeadConfig(), pooling="cls", family="gte")
    save_model(model, root / "few", "sentence-transformers", tokenizer=tokenizer_folder)
    changed = override(values, REFUSED[message])
    with pytest.raises((ConfigError, DataError), match=message):
        look(changed, root, tmp_path / "dry")
    with pytest.raises((ConfigError, DataError), match=message):
        run_here(changed, tmp_path / "run", root)


def test_a_dry_run_looks_at_what_the_folder_holds(
    values: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    run_here(values, tmp_path / "out", root)
    kept = (tmp_path / "out" / "recipe.yaml").read_bytes()
    assert len(look(values, root, tmp_path / "out").stages) == 2
    with pytest.raises(ConfigError, match=r"optimizer\.lr was 0\.01, is 0\.5"):
        look(override(values, {"stages.0.optimizer.lr": 0.5}), root, tmp_path / "out")
    assert (tmp_path / "out" / "recipe.yaml").read_bytes() == kept


def test_what_is_on_another_machine_is_named(
    values: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    values = override(
        values,
        {
            "stages.0.init_from": "somebody/model",
            "stages.1.init_from": "mlm",
            "stages.1.evaluation": {"data": ["dev"], "every_steps": 1},
            "datasets.texts.sources.0.path": "elsewhere/*.jsonl",
        },
    )
    first, second = look(values, root, tmp_path / "out").stages
    assert any("somebody/model" in text for text in first.inputs.missing)
    assert "data (elsewhere/*.jsonl)" in first.inputs.missing
    assert "evaluation (dev)" in second.inputs.missing
    assert "model (the start of 'mlm' is not here)" in second.inputs.missing
    trained = override(values, {"tokenizer": {"vocab_size": 500, "datasets": ["texts"]}})
    first, _ = look(trained, root, tmp_path / "other").stages
    assert first.inputs.missing == ("tokenizer (its texts: elsewhere/*.jsonl)",)
