"""Suites are checked when they are read, and every one of ours can be built."""

import subprocess
import sys

import pytest
import yaml

from mgte.errors import ConfigError, DataError
from mgte.evaluate.suite import TASK_KINDS, build_task, read_suite, suite_names
from mgte.evaluate.tasks.data_paths import data_root, existing_path

TASK = {"kind": "retrieval", "name": "a", "data": "x"}


def write(tmp_path, **values):
    file = tmp_path / "own.yaml"
    file.write_text(yaml.safe_dump({"name": "own", "title": "Own", "tasks": [TASK]} | values))
    return file


def test_listing_loads_no_torch() -> None:
    code = (
        "import sys; from mgte.evaluate.suite import read_suite, suite_names; "
        "[read_suite(name) for name in suite_names()]; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", suite_names())
def test_bundled_suites_can_be_built(name, tmp_path) -> None:
    suite = read_suite(name)
    assert suite.name == name
    assert len(suite.description) > 40
    for entry in suite.tasks:
        if entry["kind"] == "mteb" and entry is not suite.tasks[0]:
            continue  # one of them says whether mteb is there; all are built in test_mteb_task.py
        try:
            task = build_task(entry, tmp_path)
        except ImportError:
            pytest.skip("an optional package is missing")
        assert task.name == entry["name"]
        assert task.kind


def test_a_file_and_some_of_its_tasks(tmp_path) -> None:
    tasks = [TASK, TASK | {"name": "b"}, {"kind": "sts", "name": "c", "data": {"path": "x.csv"}}]
    suite = read_suite(write(tmp_path, tasks=tasks, settings={"seed": 3, "modes": ["dense"]}))
    assert suite.task_names == ("a", "b", "c")
    assert suite.only(["c", "a"]).task_names == ("a", "c")
    assert suite.only(["retrieval"]).task_names == ("a", "b")
    assert suite.only([]) == suite
    assert suite.settings.seed == 3
    with pytest.raises(ConfigError, match=r"own: has no task 'z', expected some of a, b, c"):
        suite.only(["z"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tasks": []}, "tasks: got none"),
        ({"tasks": [TASK, TASK]}, "'a' stands twice"),
        ({"tasks": [TASK | {"kind": "magic"}]}, r"tasks\.0\.kind: got 'magic', expected one of"),
        ({"tasks": [TASK | {"name": "../x"}]}, r"tasks\.0\.name: got '\.\./x'"),
        ({"colour": "red"}, "colour: unknown key"),
        ({"settings": {"seeds": 1}}, r"settings\.seeds: unknown key"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, values, message) -> None:
    with pytest.raises(ConfigError, match=message):
        read_suite(write(tmp_path, **values))


def test_what_is_not_there_is_named(tmp_path, monkeypatch) -> None:
    with pytest.raises(ConfigError, match=r"nope: no such suite, expected .* one of .*local"):
        read_suite("nope")
    with pytest.raises(ConfigError, match=r"a\.datum: unknown key"):
        build_task(TASK | {"datum": 1}, tmp_path)
    with pytest.raises(ConfigError, match="either data or collection"):
        build_task({"kind": "retrieval", "name": "a"}, tmp_path)
    with pytest.raises(ConfigError, match="main_metric: got 'luck'"):
        build_task(TASK | {"main_metric": "luck"}, tmp_path)
    with pytest.raises(DataError, match=r"a: .*nowhere is not there.*data[\s\S]*MGTE_DATA"):
        existing_path(tmp_path, "nowhere", "a")
    monkeypatch.setenv("MGTE_DATA", str(tmp_path))
    assert data_root() == tmp_path
    with pytest.raises(DataError, match=r"no such folder[\s\S]*--data-root"):
        data_root(tmp_path / "no")


def test_every_kind_has_its_classes() -> None:
    from importlib import import_module

    for kind, (module, record, task) in TASK_KINDS.items():
        found = import_module(f"mgte.evaluate.{module}")
        assert getattr(found, record).__dataclass_fields__["kind"].default == kind
        assert callable(getattr(found, task).run)
