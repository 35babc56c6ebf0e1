"""Rows of every format; each fault names file and line."""

import bz2
import gzip
import io
import json
import lzma
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgte.errors import BackendUnavailableError, DataError, MgteError
from mgte.text import Row, file_format, read_records, read_rows

OBJECTS = [
    {"_id": "d1", "title": "One", "text": "water"},
    {"_id": "d2", "title": "", "text": "river, with “quotes” and\u2028a separator"},
    {"_id": "d3", "text": "中国"},
]
JSONL = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in OBJECTS)


def rows_of(path: Path, content: str | bytes, **options) -> list[Row]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_rows(path, **options))


def test_json_files_may_hold_one_object_per_line(tmp_path) -> None:
    assert [row.fields["text"] for row in rows_of(tmp_path / "a.json", JSONL)] == [
        row["text"] for row in OBJECTS
    ]
    packed = rows_of(tmp_path / "a.json.gz", gzip.compress(JSONL.encode()))
    assert packed[1].place.endswith("a.json.gz:2")
    listed = rows_of(tmp_path / "b.json", json.dumps(OBJECTS, indent=1))
    assert [row.row_id for row in listed] == ["d1", "d2", "d3"]


def error_of(path: Path, content: str | bytes, **options) -> str:
    with pytest.raises(DataError) as caught:
        rows_of(path, content, **options)
    return str(caught.value).replace(str(path), path.name)


def test_plain_text_is_one_text_per_line_and_keeps_empty_lines(tmp_path: Path) -> None:
    rows = rows_of(tmp_path / "a.txt", "\ufeffwater\r\n\nriver\x0bone\x85two\n中国")
    assert [row.text for row in rows] == ["water", "", "river\x0bone\x85two", "中国"]
    assert [row.row_id for row in rows] == ["1", "2", "3", "4"]
    assert rows[3].place == f"{tmp_path / 'a.txt'}:4"


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [("", bytes), (".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)],
)
def test_jsonl_is_read_also_when_compressed(tmp_path: Path, suffix: str, compress) -> None:
    content = compress((JSONL + "\n  \n").encode())
    rows = rows_of(tmp_path / f"a.jsonl{suffix}", content, optional=("title",))
    assert [row.row_id for row in rows] == ["d1", "d2", "d3"]
    assert [row.text for row in rows] == [row["text"] for row in OBJECTS]
    assert [row.fields["title"] for row in rows] == ["One", "", ""]


def test_strings_pairs_lists_and_other_fields(tmp_path: Path) -> None:
    rows = rows_of(tmp_path / "a.jsonl", '"water"\n{"id": 7, "text": "river"}\n')
    assert [(row.row_id, row.text) for row in rows] == [("1", "water"), ("7", "river")]
    pair = rows_of(
        tmp_path / "b.ndjson", '{"query": "q", "document": "d"}', fields=("query", "document")
    )
    assert pair[0].fields == {"query": "q", "document": "d"}
    named = rows_of(tmp_path / "c.json", '["x", {"body": "y", "key": "k"}]', fields=("body",))
    assert [row.fields["body"] for row in named] == ["x", "y"]
    keyed = rows_of(tmp_path / "d.csv", "key,text\nk1,t1\n", id_field="key")
    assert keyed[0].row_id == "k1"


def test_columns(tmp_path: Path) -> None:
    rows = rows_of(tmp_path / "a.csv", 'id,text\r\n1,"two\nlines, ""here"""\r\n\r\n2,x\r\n')
    assert [row.text for row in rows] == ['two\nlines, "here"', "x"]
    assert [row.place.rsplit(":", 1)[1] for row in rows] == ["2", "5"]
    rows = rows_of(tmp_path / "a.tsv", 'text\tother\n"stray\t1\nb"\t2\n')
    assert [row.text for row in rows] == ['"stray', 'b"']


def test_a_line_of_five_megabytes_is_fine(tmp_path: Path) -> None:
    text = "water " * 850_000
    for name, content in {
        "a.txt": text,
        "a.jsonl": json.dumps({"text": text}),
        "a.csv": f"text\n{text}\n",
        "a.tsv": f"text\n{text}\n",
    }.items():
        assert rows_of(tmp_path / name, content)[0].text == text


def test_parquet(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    path = tmp_path / "a.parquet"
    table = pa.table({"_id": ["a", "b"], "text": ["water", "river"], "other": [1, 2]})
    pyarrow.parquet.write_table(table, path)
    assert [(row.row_id, row.text) for row in read_rows(path)] == [("a", "water"), ("b", "river")]
    pyarrow.parquet.write_table(pa.table({"text": ["water", None]}), path)
    with pytest.raises(DataError, match=r"a\.parquet:2: field `text` is null, expected a string"):
        list(read_rows(path))
    path.write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match=r"a\.parquet: not readable as Parquet"):
        list(read_rows(path))


def test_parquet_without_its_package_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    (tmp_path / "a.parquet").write_bytes(b"x")
    with pytest.raises(BackendUnavailableError, match=r"pip install 'mgte\[files\]'"):
        list(read_rows(tmp_path / "a.parquet"))


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def feed(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    feed(b"water\nriver\n")
    assert [row.text for row in read_rows("-")] == ["water", "river"]
    feed(b'{"text": ""}\n')
    with pytest.raises(DataError, match=r"^<stdin>:1: field `text` is empty$"):
        list(read_rows("-", format="jsonl"))
    feed(b"")
    with pytest.raises(DataError, match=r"^<stdin>: the file is empty"):
        list(read_rows("-"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"text": "x"}\n{"text": ""}', "a.jsonl:2: field `text` is empty"),
        ("a.jsonl", '{"txt": "x"}', "a.jsonl:1: no field `text`; fields: txt"),
        ("a.jsonl", '{"text": 7}', "a.jsonl:1: field `text` is a number, expected a string"),
        ("a.jsonl", "\n7", "a.jsonl:2: got a number, expected an object with `text`"),
        ("a.jsonl", '{"text": ', "a.jsonl:1: not JSON at character 9 (Expecting value)"),
        (
            "a.jsonl",
            '{"text": "\\ud800"}',
            "a.jsonl:1: field `text`: lone surrogate U+D800 at character 0, expected valid "
            "Unicode\n\nhint: decode the source with errors='replace', or drop the character",
        ),
        (
            "a.txt",
            b"fine\nab\xffc",
            "a.txt:2: byte 2 is not UTF-8 (0xff)\n\nhint: convert the file: iconv -t UTF-8",
        ),
        ("a.txt", "", "a.txt: the file is empty, expected at least one row"),
        ("a.jsonl", "\n\n", "a.jsonl: holds no rows, expected at least one"),
        ("a.csv", "text\n", "a.csv: holds no rows, expected at least one"),
        ("a.csv", "a,b\n1\n", "a.csv:2: got 1 columns, expected 2"),
        ("a.csv", "a,b\n1,2\n", "a.csv:2: no field `text`; fields: a, b"),
        ("a.csv", 'text\nx\n"open\n', "a.csv:3: not readable as csv (unexpected end of data)"),
        ("a.json", "[1", "a.json: not JSON at character 2 (Expecting ',' delimiter)"),
        ("a.json", '["x", 1]', "a.json[1]: got a number, expected an object with `text`"),
        (
            "a.json",
            "{}",
            "a.json: got an object, expected a list of rows\n\n"
            "hint: one object per line is the format jsonl",
        ),
        ("a.jsonl", "[" * 100_000, "a.jsonl:1: not readable as JSON"),
    ],
)
def test_faults_name_their_place(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    got = error_of(tmp_path / name, content)
    assert got == message or (message.endswith("as JSON") and got.startswith(message))


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.txt: no such file"):
        list(read_rows(tmp_path / "absent.txt"))
    with pytest.raises(DataError, match="is a folder, expected a file"):
        list(read_rows(tmp_path, format="text"))
    with pytest.raises(DataError, match=r"unknown suffix `.doc`, expected one of .txt"):
        list(read_rows(tmp_path / "a.doc"))
    cut_off = gzip.compress(JSONL.encode() * 50)[:-30]
    assert "damaged or cut off .gz file" in error_of(tmp_path / "a.jsonl.gz", cut_off)
    assert "damaged or cut off .gz file" in error_of(tmp_path / "b.jsonl.gz", JSONL)
    if sys.version_info < (3, 14):
        (tmp_path / "a.jsonl.zst").write_bytes(b"x")
        with pytest.raises(BackendUnavailableError, match="zstd -d"):
            list(read_rows(tmp_path / "a.jsonl.zst"))


def test_formats_by_name() -> None:
    assert file_format("-") == "text"
    assert file_format("a/b.TXT") == "text"
    assert file_format("b.v1.tsv.gz") == "tsv"
    assert file_format("b.parquet") == "parquet"


@settings(max_examples=150, deadline=None, derandomize=True)
@given(content=st.binary(max_size=80), suffix=st.sampled_from([".txt", ".jsonl", ".csv", ".json"]))
def test_any_bytes_give_rows_or_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    try:
        rows = rows_of(path, content)
    except MgteError as error:
        assert path.name in str(error)
    else:
        assert all(isinstance(row.text, str) for row in rows)


def test_raw_records_are_given_as_they_stand(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = [{"a": ["x", "y"], "b": 1.5}, {"a": [], "b": 2.0}]
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "r.parquet")
    for name in ("r.jsonl", "r.parquet"):
        found = list(read_records(tmp_path / name))
        assert found == [(f"{tmp_path / name}:{i}", row) for i, row in enumerate(rows, start=1)]
    only = list(read_records(tmp_path / "r.parquet", columns=["b", "absent"]))
    assert [record for _, record in only] == [{"b": 1.5}, {"b": 2.0}]
