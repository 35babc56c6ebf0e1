"""Every recipe is one that would run, and the tiny one does."""

import importlib.util
import json
from pathlib import Path

import pytest

from mgte.config import from_dict, read_yaml, to_dict
from mgte.train.recipe import Recipe

REPOSITORY = Path(__file__).parents[2]
RECIPES = sorted((REPOSITORY / "recipes").glob("*.yaml"))
TINY_DATA = REPOSITORY / "recipes" / "data" / "tiny"


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_what_the_loader_takes(path: Path) -> None:
    recipe = from_dict(Recipe, read_yaml(path))
    assert recipe.name == path.stem
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
