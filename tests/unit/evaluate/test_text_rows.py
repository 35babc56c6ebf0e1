"""Rows of text tasks: whatever the layout of a file, settings alone give the same fields."""

import json
from dataclasses import replace

import pytest
from tests.unit.evaluate.text_folders import write_columns, write_jsonl

from mgte.config import from_dict
from mgte.errors import ConfigError, DataError
from mgte.evaluate.text_data import TextDataConfig, filled, read_text_rows

ROWS = [
    {"label": "1", "text": 'he said "no", twice'},
    {"label": "0", "text": "Käse und Brot"},
    {"label": "1", "text": "plain words"},
]


def fields(config, root, split="test", **more):
    return [row.fields for row in read_text_rows(config, root, split=split, **more)]


def write_layouts(root):
    """The same rows in every layout, and the settings that read them."""
    write_jsonl(root / "rows.jsonl", ROWS)
    write_jsonl(root / "rows.jsonl.xz", ROWS)
    write_jsonl(root / "rows.json.gz", ROWS)
    write_columns(root / "rows.csv", ROWS)
    write_columns(root / "bare.csv", ROWS, header=False)
    write_columns(root / "quoted.tsv", ROWS, delimiter="\t")
    lines = [f"{row['label']}\t{row['text']}\n" for row in ROWS]
    (root / "rows.tsv").write_text("label\ttext\n" + "".join(lines), "utf-8")
    (root / "bare.txt").write_text("".join(lines), "utf-8")
    spaced = "".join(f"{row['label']} {row['text']}\n" for row in ROWS)
    (root / "rows.all").write_bytes(spaced.encode("latin-1"))
    (root / "labels.txt").write_text("".join(f"{row['label']}\n" for row in ROWS))
    (root / "texts.txt").write_text("".join(f"{row['text']}\n" for row in ROWS), "utf-8")
    lists = [[row["label"], row["text"]] for row in ROWS]
    (root / "object.json").write_text(json.dumps({"test": lists, "train": []}))
    (root / "list.json").write_text(json.dumps(ROWS))
    columns = ["label", "text"]
    return [
        {"path": "rows.jsonl"},
        {"path": "rows.jsonl.xz"},
        {"path": "rows.json.gz", "format": "jsonl"},
        {"path": "rows.csv"},
        {"path": "bare.csv", "columns": columns},
        {"path": "quoted.tsv", "format": "csv", "separator": "\t"},
        {"path": "rows.tsv"},
        {"path": "bare.txt", "format": "tsv", "columns": columns},
        {
            "path": "rows.all",
            "format": "text",
            "columns": columns,
            "separator": " ",
            "encoding": "latin-1",
        },
        {"lines": {"label": "labels.txt", "text": "texts.txt"}},
        {"path": "object.json", "records_at": "{split}", "columns": columns},
        {"path": "list.json"},
        {"path": "r*s.jsonl"},
    ]


@pytest.mark.parametrize("number", range(13))
def test_every_layout_gives_the_same_fields(tmp_path, number):
    settings = write_layouts(tmp_path)[number]
    assert fields(from_dict(TextDataConfig, settings), tmp_path) == ROWS


def test_parquet_gives_the_same_fields(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    pyarrow = pytest.importorskip("pyarrow")
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "rows.parquet")
    assert fields(TextDataConfig(path="rows.parquet"), tmp_path) == ROWS


def test_placeholders_stand_in_paths_values_and_names(tmp_path):
    rows = [{"lang": "de", "n": 1}, {"lang": "en", "n": 2}, {"lang": "de", "n": 3}]
    write_jsonl(tmp_path / "dev" / "all.jsonl", rows)
    config = TextDataConfig(
        path="{split}/all.jsonl", where={"lang": "{subset}"}, subsets={"de": "de-en"}
    )
    assert [row["n"] for row in fields(config, tmp_path, "dev", subset="de")] == [1, 3]
    assert filled("{subset}.{language} {x}", split="", subset="a", language="b") == "a.b {x}"
    assert config.parts == (("de", "de-en"),)
    assert replace(config, subsets={}, language="fr").parts == (("", "fr"),)


def test_filters_compare_as_text_and_look_into_lists(tmp_path):
    rows = [{"k": 1}, {"k": "1"}, {"k": 1.0}, {"k": True}, {"k": ["1"]}, {"k": ["1", "2"]}]
    rows += [{"k": []}, {"k": None}, {"k": "2"}]
    write_jsonl(tmp_path / "a.jsonl", rows)
    assert len(fields(TextDataConfig(path="a.jsonl", where={"k": "1"}), tmp_path)) == 5
    assert len(fields(TextDataConfig(path="a.jsonl", where={"k": ("1", "2")}), tmp_path)) == 7
    assert len(fields(TextDataConfig(path="a.jsonl", drop_empty=("k",)), tmp_path)) == 7


def test_patterns_read_files_by_name(tmp_path):
    for name in ("b", "a", "c"):
        write_jsonl(tmp_path / f"{name}.jsonl", [{"name": name}])
    config = TextDataConfig(path="[ab].jsonl")
    assert fields(config, tmp_path) == [{"name": "a"}, {"name": "b"}]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"path": "gone.jsonl"}, r"gone.jsonl: no such file\n\nhint: .*MGTE_DATA"),
        ({"path": "gone*.jsonl"}, "gone.*: no such file"),
        ({"lines": {"a": "three.txt", "b": "gone.txt"}}, "gone.txt: no such file"),
        ({"lines": {"a": "three.txt", "b": "two.txt"}}, "got 3 in .*three.txt, 2 in .*two.txt"),
        ({"lines": {"a": "t*.txt"}}, r"t\*.txt: 2 files match, expected one"),
        ({"path": "empty.jsonl"}, "is empty, expected at least one row"),
        ({"path": "a.jsonl", "where": {"lang": "de"}}, r"a.jsonl:1: no field `lang`; fields: k"),
        ({"path": "a.jsonl", "where": {"k": "9"}}, "none of 1 rows is left, expected .* with k 9"),
        ({"path": "a.jsonl", "drop_empty": ["x"]}, "no field `x`"),
        ({"path": "three.txt", "columns": ["a", "b"]}, "three.txt:1: got 1 columns, expected 2"),
        ({"path": "open.csv", "columns": ["a"]}, "open.csv:2: not readable as csv"),
        ({"path": "o.json", "records_at": "dev"}, "o.json: has no list `dev`; got test"),
        ({"path": "o.json", "records_at": "test"}, r"o.json:test\[0\]: got list, expected an obj"),
        ({"path": "bad.txt", "encoding": "ascii"}, "bad.txt:1: byte 0 is not ascii"),
        ({"path": "bad.txt.gz", "encoding": "latin-1"}, "bad.txt.gz: cannot be read"),
        ({"path": "none.txt", "encoding": "latin-1"}, "none.txt: the file is empty"),
    ],
)
def test_wrong_data_are_named_with_their_place(tmp_path, settings, message):
    write_jsonl(tmp_path / "a.jsonl", [{"k": 1}])
    (tmp_path / "three.txt").write_text("a\nb\nc\n")
    (tmp_path / "two.txt").write_text("a\nb\n")
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "none.txt").write_text("")
    (tmp_path / "open.csv").write_text('a\n"b\n')
    (tmp_path / "o.json").write_text('{"test": [["a"]]}')
    (tmp_path / "bad.txt").write_bytes(b"\xe4\n")
    (tmp_path / "bad.txt.gz").write_bytes(b"\xe4\n")
    with pytest.raises(DataError, match=message):
        fields(from_dict(TextDataConfig, settings), tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "data.path: got neither of path and lines"),
        ({"path": "a", "lines": {"a": "b"}}, "data.path: got both of path and lines"),
        ({"lines": {"a": "b"}, "columns": ["a"]}, "data.lines: got columns"),
        ({"path": "a", "max_items": -1}, "data.max_items: got -1"),
        ({"path": "a", "columns": ["x", "x"]}, "data.columns: got a name twice"),
        ({"path": "a", "encoding": "klingon"}, "data.encoding: got 'klingon'"),
        ({"path": "a", "fromat": "csv"}, "did you mean `format`"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        from_dict(TextDataConfig, settings, "data")


def test_settings_that_do_not_suit_a_format_are_refused(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", [{"k": 1}])
    for settings in ({"records_at": "x"}, {"separator": " "}):
        with pytest.raises(ConfigError, match="is read as jsonl"):
            fields(TextDataConfig(path="a.jsonl", **settings), tmp_path)
