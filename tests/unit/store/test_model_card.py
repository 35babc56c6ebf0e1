"""The card shows the facts that it is given, and they come back from the folder."""

import pytest
import yaml

from mgte.errors import CheckpointError, ConfigError
from mgte.store import (
    EvaluationFacts,
    SourceFacts,
    StageFacts,
    TrainingFacts,
    load_model,
    read_training_facts,
    save_model,
    write_model_card,
)

FACTS = TrainingFacts(
    name="made-model",
    summary="Finds things.",
    licence="apache-2.0",
    languages=("en", "no"),
    start_models=("all-minilm-l6-v2",),
    recipe="recipes/made.yaml",
    stages=(StageFacts(name="mlm", objective="masked_lm 30 %", steps=1200, tokens=3_400_000),),
    sources=(SourceFacts(name="laws", licence="public domain | own words", rows=1500),),
    evaluation=(
        EvaluationFacts(collection="scifact/test", metric="nDCG@10", values={"dense": 0.61234}),
        EvaluationFacts(
            collection="cisi/test", metric="nDCG@10", values={"dense": 0.4, "BM25": 0.296}
        ),
    ),
    machine="2 cores",
    date="2026-11-21",
    notes={"seed": "7"},
    limitations=("Knows no Welsh.",),
)


def header_of(card: str) -> dict:
    return yaml.safe_load(card.split("---\n")[1])


def test_every_fact_stands_in_the_card(make_checkpoint, tmp_path) -> None:
    folder = save_model(load_model(make_checkpoint().folder), tmp_path / "out", facts=FACTS)
    card = (folder / "README.md").read_text()
    header = header_of(card)
    # Norwegian stays Norwegian: YAML would read a bare `no` as false.
    assert header["language"] == ["en", "no"]
    assert header["license"] == "apache-2.0"
    assert header["base_model"] == ["all-minilm-l6-v2"]
    for line in (
        "# made-model",
        "Finds things.",
        "| nDCG@10 | dense | BM25 |",
        "| scifact/test | 0.612 | - |",
        "| cisi/test | 0.400 | 0.296 |",
        "* recipe: recipes/made.yaml",
        "* seed: 7",
        "| mlm | - | masked_lm 30 % | - | 1,200 | 3,400,000 | - |",
        r"| laws | 1,500 | public domain \| own words | |",
        "* Knows no Welsh.",
    ):
        assert line in card.splitlines()
    assert read_training_facts(folder) == FACTS


def test_a_card_without_facts_has_no_empty_sections(make_checkpoint, tmp_path) -> None:
    folder = save_model(load_model(make_checkpoint().folder), tmp_path / "out")
    card = (folder / "README.md").read_text()
    assert "## " not in card
    assert set(header_of(card)) == {"library_name", "pipeline_tag", "tags"}
    assert read_training_facts(folder) is None


def test_facts_of_older_weights_do_not_stay(make_checkpoint, tmp_path) -> None:
    model = load_model(make_checkpoint().folder)
    folder = save_model(model, tmp_path / "out", facts=FACTS)
    save_model(model, folder)
    assert read_training_facts(folder) is None


def test_a_card_can_be_written_later(make_checkpoint, tmp_path) -> None:
    model = load_model(make_checkpoint().folder)
    at_once = save_model(model, tmp_path / "a", "sentence-transformers", facts=FACTS)
    later = save_model(model, tmp_path / "b", "sentence-transformers")
    write_model_card(later, FACTS)
    assert (later / "README.md").read_text() == (at_once / "README.md").read_text()
    assert read_training_facts(later) == FACTS
    with pytest.raises(CheckpointError):
        write_model_card(tmp_path, FACTS)


def test_damaged_facts_are_named(make_checkpoint, tmp_path) -> None:
    folder = save_model(load_model(make_checkpoint().folder), tmp_path / "out", facts=FACTS)
    (folder / "training_facts.json").write_text('{"nmae": "x"}')
    with pytest.raises(ConfigError, match="nmae: unknown key"):
        read_training_facts(folder)
