"""Every recipe is one that would run, and the tiny one does."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mgte.config import from_dict, read_yaml, to_dict
from mgte.train.checks import check_recipe
from mgte.train.recipe import Recipe

REPOSITORY = Path(__file__).parents[2]
RECIPES = sorted((REPOSITORY / "recipes").glob("*.yaml"))
TINY_DATA = REPOSITORY / "recipes" / "data" / "tiny"


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_what_the_loader_takes(path: Path) -> None:
    recipe = from_dict(Recipe, read_yaml(path))
    assert recipe.name.endswith(path.stem)
    check_recipe(recipe)
    # A copy with every default spelled out, as runs keep it, is the same recipe.
    assert from_dict(Recipe, to_dict(recipe)) == recipe


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_begins_with_its_command(path: Path) -> None:
    text = path.read_text("utf-8")
    comment = text[: text.index("\nname:")]
    assert f"mgte train recipes/{path.name} " in comment


def test_the_list_of_recipes_is_complete() -> None:
    page = (REPOSITORY / "docs" / "recipes.md").read_text("utf-8")
    assert [path.name for path in RECIPES if f"`{path.name}`" not in page] == []


def test_the_tiny_data_is_what_its_script_makes(tmp_path: Path) -> None:
    script = TINY_DATA.parent / "make_tiny.py"
    spec = importlib.util.spec_from_file_location("make_tiny", script)
    assert spec is not None
    assert spec.loader is not None
    make_tiny = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_tiny)
    make_tiny.OUT = tmp_path
    make_tiny.main()
    made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.*")}
    assert made == {path.relative_to(TINY_DATA) for path in TINY_DATA.rglob("*.*")}
    for name in made:
        assert (tmp_path / name).read_bytes() == (TINY_DATA / name).read_bytes()


def test_no_thing_of_the_dev_part_is_named_in_training() -> None:
    training = "".join(path.read_text("utf-8") for path in TINY_DATA.glob("*.jsonl")).lower()
    corpus = (TINY_DATA / "dev" / "corpus.jsonl").read_text("utf-8").splitlines()
    names = {json.loads(line)["_id"].rsplit("-", 1)[-1] for line in corpus}
    assert len(names) == 30
    assert [name for name in names if name in training] == []


@pytest.mark.slow
def test_the_tiny_recipe_trains_a_model_that_beats_its_own_start(tmp_path: Path) -> None:
    pytest.importorskip("pytrec_eval")
    out = tmp_path / "tiny"
    command = [sys.executable, "-m", "mgte", "train", "recipes/tiny.yaml", "--out", str(out)]
    # Other tests may run beside this one: a thread that waits for others would slow down both.
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [*command, "--json"], cwd=REPOSITORY, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    stages = {stage["name"]: stage for stage in json.loads(run.stdout)["stages"]}
    assert list(stages) == ["masked-lm", "contrastive", "embedding", "reranker"]
    start = scores_of(start_model(out, tmp_path / "start"))
    final = scores_of(stages["embedding"]["model"])
    # Seen: 0.54 for the untrained encoder; 0.85 dense, 0.97 sparse, 0.90 hybrid at the end.
    assert final["dense"] > start["dense"] + 0.1
    assert final["hybrid"] > start["dense"] + 0.15
    assert final["hybrid"] > scores_of(stages["masked-lm"]["model"])["dense"] + 0.5
    assert stages["reranker"]["loss"] < 1.5


def scores_of(model: str | Path) -> dict[str, float]:
    """nDCG@10 on the dev collection, by way of ranking."""
    from mgte.evaluate import evaluate

    return evaluate(model, TINY_DATA / "dev", split="dev").metrics


def start_model(run: Path, folder: Path) -> Path:
    """The model that the recipe's first stage starts from, as a folder."""
    from mgte.text import Tokenizer
    from mgte.train.initial_model import initial_model
    from mgte.train.stage_model import save_stage_model

    recipe = from_dict(Recipe, read_yaml(run / "recipe.yaml"))
    stage, shape = recipe.stages[0], recipe.encoder
    assert shape is not None
    tokenizer = Tokenizer.load(run / "tokenizer")
    model = initial_model(stage, seed=recipe.seed, tokenizer=tokenizer, start=shape).model
    weights = dict(model.named_parameters())
    return save_stage_model(folder, model, weights, stage.output, tokenizer=run / "tokenizer")
