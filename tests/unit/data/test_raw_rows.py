"""Raw rows: every format, every field, and faults that name file, line and what is there."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.data.made_files import dataset_config, write_rows

from mgte.data import DatasetConfig, SourceConfig
from mgte.data.raw_rows import RawRow, batched_rows, find_sources
from mgte.errors import ConfigError, DataError

GROUPS = [
    {"q": "one", "pos": ["a"], "neg": ["b", "c"], "ps": [1.0], "ns": [0.25, 0.5]},
    {"q": "two", "pos": ["d", "e"], "neg": [], "ps": [1.0, 0.5], "ns": []},
]
GROUP_FIELDS = {
    "query": "q",
    "positives": "pos",
    "negatives": "neg",
    "positive_scores": "ps",
    "negative_scores": "ns",
}


def rows_of(root: Path, kind: str, *sources: dict) -> list[RawRow]:
    found = find_sources(dataset_config(kind, *sources), root)
    return [row for source in found for row in source.rows()]


@pytest.mark.parametrize("name", ["g.jsonl", "g.jsonl.gz", "g.jsonl.bz2", "g.json", "g.parquet"])
def test_groups_are_alike_in_every_format_with_lists(tmp_path: Path, name: str) -> None:
    if name == "g.json":
        (tmp_path / name).write_text(json.dumps(GROUPS), encoding="utf-8")
    elif name == "g.parquet":
        pq.write_table(pa.Table.from_pylist(GROUPS), tmp_path / name)
    else:
        write_rows(tmp_path / name, GROUPS)
    first, second = rows_of(tmp_path, "groups", {"path": name, "fields": GROUP_FIELDS})
    assert (first.query, first.documents, first.negatives) == ("one", ("a",), ("b", "c"))
    assert (first.positive_scores, first.negative_scores) == ((1.0,), (0.25, 0.5))
    assert (second.documents, second.negatives) == (("d", "e"), ())
    places = ["g.json[0]", "g.json[1]"] if name == "g.json" else [f"{name}:1", f"{name}:2"]
    assert [first.place, second.place] == places


def test_texts_come_from_lines_and_columns(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\n", encoding="utf-8")
    (tmp_path / "b.csv").write_text('text,title\n"three, four",t\n', encoding="utf-8")
    write_rows(tmp_path / "c.jsonl", [{"text": "five", "title": "T"}, {"text": None, "title": ""}])
    plain = rows_of(tmp_path, "texts", {"path": "[ab].*"})
    assert [row.documents[0] for row in plain] == ["one", "two", "three, four"]
    joined = rows_of(tmp_path, "texts", {"path": "c.jsonl", "fields": {"text": "title + text"}})
    assert [row.documents[0] for row in joined] == ["T five", ""]


def test_a_single_text_is_a_list_of_one(tmp_path: Path) -> None:
    write_rows(tmp_path / "g.jsonl", [{"query": "q", "positives": "p"}])
    (row,) = rows_of(tmp_path, "groups", {"path": "g.jsonl"})
    assert (row.documents, row.negatives, row.positive_scores) == (("p",), (), ())


def test_splits_and_languages_come_from_columns(tmp_path: Path) -> None:
    rows = [{"text": f"t{i}", "part": "train" if i % 3 else "test", "l": "de"} for i in range(6)]
    write_rows(tmp_path / "deep/er/a.jsonl.gz", rows)
    source = {
        "path": "**/*.jsonl.gz",
        "split_field": "part",
        "split": "train",
        "language_field": "l",
    }
    found = rows_of(tmp_path, "texts", source)
    assert [row.documents[0] for row in found] == ["t1", "t2", "t4", "t5"]
    assert {row.language for row in found} == {"de"}
    assert found[0].place == "deep/er/a.jsonl.gz:2"


@pytest.mark.parametrize("limit", [1, 3, 7, 10, 11])
def test_max_rows_are_spread_evenly(tmp_path: Path, limit: int) -> None:
    write_rows(tmp_path / "a.jsonl", [{"text": str(i)} for i in range(4)])
    write_rows(tmp_path / "b.jsonl", [{"text": str(i)} for i in range(4, 10)])
    found = rows_of(tmp_path, "texts", {"path": "*.jsonl", "max_rows": limit})
    numbers = [int(row.documents[0]) for row in found]
    assert len(numbers) == min(limit, 10)
    gaps = {b - a for a, b in zip([-1, *numbers], numbers, strict=False)}
    assert max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize("name", ["p.jsonl", "p.parquet", "p.csv"])
def test_a_missing_field_names_the_place_and_the_fields_there(tmp_path: Path, name: str) -> None:
    row = {"question": "q", "answer": "a"}
    if name == "p.parquet":
        pq.write_table(pa.Table.from_pylist([row]), tmp_path / name)
    elif name == "p.csv":
        (tmp_path / name).write_text("question,answer\nq,a\n", encoding="utf-8")
    else:
        write_rows(tmp_path / name, [row])
    with pytest.raises(DataError) as caught:
        rows_of(tmp_path, "pairs", {"path": name, "fields": {"query": "question"}})
    line = 2 if name == "p.csv" else 1
    assert f"{name}:{line}: no field `document`; fields: question, answer" in str(caught.value)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"query": 3, "positives": ["p"]}, "g.jsonl:1: field `query` holds a number"),
        ({"query": "q", "positives": [["p"]]}, "field `positives` holds a list, expected a string"),
        ({"query": "q", "positives": ["p"], "positive_scores": [1, 2]}, "holds 2 scores"),
        ({"query": "q", "positives": ["p"], "positive_scores": ["1"]}, "holds a string, expected"),
        (
            {"query": "q", "positives": ["p"], "positive_scores": [float("inf")]},
            "g.jsonl:1: field `positive_scores` holds inf, expected numbers",
        ),
        (["q", "p"], "got a list, expected a row with fields"),
        ("q", "got plain text, expected a row with named fields"),
    ],
)
def test_wrong_values_are_named(tmp_path: Path, row: object, message: str) -> None:
    (tmp_path / "g.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        rows_of(tmp_path, "groups", {"path": "g.jsonl"})
    assert message in str(caught.value)


def test_a_lone_surrogate_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "ab\\ud800"}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.jsonl:1: .* lone surrogate at character 2"):
        rows_of(tmp_path, "texts", {"path": "a.jsonl"})


def test_nothing_found_is_an_error(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", [{"text": "t", "split": "dev"}])
    with pytest.raises(DataError, match="no such file"):
        rows_of(tmp_path, "texts", {"path": "b*.jsonl"})
    source = {"path": "a.jsonl", "split_field": "split", "split": "train"}
    with pytest.raises(DataError, match="holds no rows with split = 'train'"):
        rows_of(tmp_path, "texts", source)


@pytest.mark.parametrize(
    ("kind", "source", "message"),
    [
        ("pairs", {"fields": {"positive": "p"}}, "fields.positive: unknown field"),
        ("texts", {"language": "en", "language_field": "l"}, "language and language_field"),
        ("texts", {"split": "train"}, "split_field and split"),
        ("texts", {"symmetric": True}, "symmetric"),
        ("texts", {"max_rows": -1}, "max_rows"),
    ],
)
def test_settings_that_contradict_each_other(tmp_path, kind, source, message) -> None:
    write_rows(tmp_path / "a.jsonl", [{"text": "t"}])
    with pytest.raises(ConfigError, match=message):
        rows_of(tmp_path, kind, {"path": "a.jsonl", **source})


def test_batches_are_bounded_by_rows_and_by_characters() -> None:
    def row(size: int) -> RawRow:
        return RawRow(source="s", file="f", place="f:1", documents=("x" * size,))

    sizes = [len(batch) for batch in batched_rows(row(1) for _ in range(2500))]
    assert sizes == [1024, 1024, 452]
    assert [len(batch) for batch in batched_rows(row(3_000_000) for _ in range(3))] == [2, 1]


@pytest.mark.parametrize("name", ["t.jsonl", "t.parquet"])
def test_a_column_of_languages_is_used_without_being_named(tmp_path: Path, name: str) -> None:
    told = ["de", "zh-Hant", None, "", "Python code", "formal"]
    rows = [{"text": f"text {i}", "language": language} for i, language in enumerate(told)]
    if name == "t.parquet":
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / name)
    else:
        write_rows(tmp_path / name, rows)
    found = find_sources(DatasetConfig(kind="texts", sources=(_source(name),)), tmp_path)
    read = [(row.language, row.language_from) for row in found[0].rows()]
    assert read == [("de", "column"), ("zh-Hant", "column"), *[("", "")] * 4]
    # What the settings say goes before it, and a column that they name is taken as it is.
    (row, *_) = rows_of(tmp_path, "texts", {"path": name, "language": "fr"})
    assert (row.language, row.language_from) == ("fr", "setting")
    *_, row = rows_of(tmp_path, "texts", {"path": name, "language_field": "language"})
    assert (row.language, row.language_from) == ("formal", "column")


def _source(path: str) -> SourceConfig:
    return SourceConfig(path=path, source="s")
