"""The models that come with mgte: complete, small, and as the table of known models says."""

import json
from pathlib import Path

import numpy as np
import pytest

import mgte
from mgte.config import from_dict, read_yaml
from mgte.store import KNOWN_MODELS, is_cached, open_model, read_training_facts, resolve_model
from mgte.train import Recipe

BUNDLED = [model for model in KNOWN_MODELS.values() if model.home == "bundled"]
every_model = pytest.mark.parametrize("model", BUNDLED, ids=lambda model: model.name)
_MAX_BYTES = 25_000_000


def folder_of(model) -> Path:
    return resolve_model(model.name)


@every_model
def test_facts_are_those_of_the_folder(model) -> None:
    opened = open_model(model.name)
    assert is_cached(model.name)
    assert (opened.family, opened.num_parameters, opened.config.hidden_size) == (
        model.family,
        model.num_parameters,
        model.dimension,
    )
    assert opened.settings.max_length == model.max_tokens
    assert opened.config.position_limit >= model.max_tokens


@every_model
def test_a_model_is_small_and_comes_with_its_history(model) -> None:
    folder = folder_of(model)
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    assert sum(sizes) <= _MAX_BYTES
    recipe = from_dict(Recipe, read_yaml(folder / "recipe.yaml"))
    assert recipe.name == model.name
    logs = sorted(folder.glob("*.metrics.jsonl"))
    assert logs
    for log in logs:
        kinds = {json.loads(line)["kind"] for line in log.read_text("utf-8").splitlines()}
        assert "step" in kinds
    assert list(folder.glob("*.png"))
    facts = read_training_facts(folder)
    assert facts is not None
    assert facts.stages
    card = (folder / "README.md").read_text("utf-8")
    for wanted in ("license: apache-2.0", "all-MiniLM-L6-v2", "nDCG@10"):
        assert wanted in card


def test_the_embedder_searches_across_languages() -> None:
    embedder = mgte.Embedder.load("mgte-nano")
    assert embedder.has_sparse
    documents = ["Delete a file.", "A cat sleeps on the sofa.", "Bread needs yeast."]
    queries = ["Die Katze liegt auf dem Sofa", "eliminar un archivo", "le pain et la levure"]
    vectors = embedder.encode_document(documents)
    scores = embedder.similarity(embedder.encode_query(queries), vectors)
    assert scores.argmax(1).tolist() == [1, 0, 2]
    whole = embedder.encode(documents, dim=64).dense
    assert whole is not None
    assert np.linalg.norm(whole, axis=1) == pytest.approx(1, abs=1e-5)


def test_the_reranker_prefers_the_answer() -> None:
    reranker = mgte.Reranker.load("mgte-nano-reranker")
    query = "how often does high tide come"
    documents = ["Green tea turns bitter in boiling water.", "High tide comes twice a day."]
    assert reranker.rank(query, documents)[0].index == 1
