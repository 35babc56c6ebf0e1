"""What is finished counts as long as nothing that it follows from has changed."""

import os

import pytest

from mgte.evaluate import finished_tasks
from mgte.evaluate.finished_tasks import read_finished, task_key, write_finished
from mgte.evaluate.records import TaskResult, WorstItem
from mgte.evaluate.surroundings import machine_facts, package_versions

RESULT = TaskResult(
    task="t",
    kind="sts",
    main_metric="m",
    metrics={"m": 0.5},
    num_items=2,
    interval=(0.25, 0.75),
    per_item={"a": 0.1},
    worst=(WorstItem(item_id="a", value=0.1, text="x", found="y"),),
    facts={"num": 3},
)


def test_a_round_trip(tmp_path) -> None:
    assert read_finished(tmp_path, "t", "k") is None
    write_finished(tmp_path / "new", "t", "k", [RESULT, RESULT])
    assert read_finished(tmp_path / "new", "t", "k") == [RESULT, RESULT]
    assert read_finished(tmp_path / "new", "t", "other") is None


@pytest.mark.parametrize("content", ["", "[]", "{", '{"format_version": 1, "key": "k"}', "7"])
def test_what_cannot_be_read_does_not_count(tmp_path, content) -> None:
    (tmp_path / "t.json").write_text(content)
    assert read_finished(tmp_path, "t", "k") is None


def test_results_that_are_no_numbers_are_not_kept(tmp_path) -> None:
    bad = TaskResult(
        task="t", kind="sts", main_metric="m", metrics={"m": float("nan")}, num_items=1
    )
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_finished(tmp_path, "t", "k", [bad])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "data",
    [
        "folder",
        "folder/en-test.csv",
        {"path": "folder/{subset}-{split}.csv", "language": "en"},
        {"path": "folder/*.csv", "separator": "/", "columns": ["."]},
        {"lines": {"source": "folder/en-test.csv"}},
        {"data": "someone/folder", "layout": "beir"},
    ],
)
@pytest.mark.parametrize("is_large", [False, True])
def test_the_key_follows_the_data(tmp_path, monkeypatch, data, is_large) -> None:
    if is_large:
        monkeypatch.setattr(finished_tasks, "_LARGE", 1)
    file = tmp_path / "folder" / "en-test.csv"
    file.parent.mkdir()
    file.write_text("a,b\n")
    entry = {"name": "t", "data": data}
    key = task_key(entry, {}, tmp_path)
    assert key == task_key(entry, {}, tmp_path)
    (tmp_path / "elsewhere.csv").write_text("x")
    assert key == task_key(entry, {}, tmp_path)
    assert key != task_key(entry, {"seed": 1}, tmp_path)
    assert key != task_key(entry | {"name": "u"}, {}, tmp_path)
    file.write_text("a,c\n")
    os.utime(file, ns=(1, 1))
    assert key != task_key(entry, {}, tmp_path)


def test_the_key_follows_what_is_learned_from(tmp_path) -> None:
    entry = {"training": {"train": {"path": "a.tsv"}}, "tests": [{"source": {"path": "b.tsv"}}]}
    keys = set()
    for changed in ("", "a.tsv", "b.tsv"):
        for name in ("a.tsv", "b.tsv"):
            (tmp_path / name).write_text("new" if name == changed else "old")
        keys.add(task_key(entry, {}, tmp_path))
    assert len(keys) == 3


def test_an_absolute_path_is_looked_at(tmp_path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("a")
    entry = {"name": "t", "data": str(file)}
    key = task_key(entry, {}, tmp_path / "else")
    file.write_text("b")
    assert key != task_key(entry, {}, tmp_path / "else")


def test_where_it_was_measured() -> None:
    versions, machine = package_versions(), machine_facts()
    assert {"python", "numpy", "torch"} <= set(versions)
    assert machine["cores"] >= 1
    assert machine["device"] == "cpu"
    assert machine["processor"]
