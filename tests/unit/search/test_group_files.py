"""Groups are read from what people have, and come back as they were written."""

import json

import pytest

from mgte.data import DatasetConfig, SourceConfig, prepare_dataset
from mgte.errors import DataError
from mgte.search import check_group_file, read_groups, write_groups
from mgte.text import Tokenizer, TrainingGroup


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


GROUPS = [
    TrainingGroup(
        query="tide",
        positives=("moon", "sea"),
        negatives=("bread", "road — ü"),
        source="made",
        language="en",
        positive_scores=(0.5, 0.25),
        negative_scores=(0.125, -1.0),
    ),
    TrainingGroup(query="map", positives=("road",), source="made", language="und"),
]


@pytest.mark.parametrize("name", ["groups.jsonl", "groups.parquet"])
def test_what_is_written_can_be_read(tmp_path, name) -> None:
    write_groups(tmp_path / name, GROUPS)
    read = read_groups(tmp_path / name)
    # Scores are for training; mining makes them anew.
    assert [(g.query, g.positives, g.negatives, g.source, g.language) for g in read] == [
        (g.query, g.positives, g.negatives, g.source, g.language) for g in GROUPS
    ]
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_scores_are_columns_of_numbers(tmp_path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    write_groups(tmp_path / "groups.parquet", GROUPS)
    rows = parquet.read_table(tmp_path / "groups.parquet").to_pylist()
    assert rows[0]["negative_scores"] == [0.125, -1.0]
    assert rows[1]["negatives"] == []


def test_pairs_with_one_query_become_one_group(tmp_path) -> None:
    rows = [
        {"query": "q", "document": "a"},
        {"query": "q", "document": "b"},
        {"query": "q", "document": "a"},
        {"query": "q", "document": "a", "source": "other"},
    ]
    groups = read_groups(write_lines(tmp_path / "pairs.train.jsonl", rows))
    assert [(g.source, g.positives) for g in groups] == [("pairs", ("a", "b")), ("other", ("a",))]


def test_columns_may_have_other_names(tmp_path) -> None:
    file = write_lines(tmp_path / "x.jsonl", [{"title": "q", "abstract": "d"}])
    (group,) = read_groups(file, fields={"query": "title", "positives": "abstract"}, source="s")
    assert (group.query, group.positives, group.source) == ("q", ("d",), "s")
    file = write_lines(tmp_path / "y.jsonl", [{"query": "q", "pos": ["a"], "neg": ["b"]}])
    assert read_groups(file)[0].negatives == ("b",)


def test_a_beir_folder_gives_its_judged_pairs(tmp_path) -> None:
    folder = tmp_path / "small"
    (folder / "qrels").mkdir(parents=True)
    write_lines(folder / "corpus.jsonl", [{"_id": "d", "title": "t", "text": "x"}])
    write_lines(folder / "queries.jsonl", [{"_id": i, "text": f"text {i}"} for i in "abc"])
    (folder / "qrels" / "train.tsv").write_text("q\td\ts\na\td\t1\nb\td\t0\n")
    assert [(g.query, g.positives, g.source) for g in read_groups(folder)] == [
        ("text a", ("t x",), "small")
    ]


def test_a_prepared_folder_is_read(tmp_path, tokenizer_folder) -> None:
    pytest.importorskip("pyarrow")
    rows = [{"query": "q", "document": "a"}, {"query": "q", "document": "b"}]
    write_lines(tmp_path / "pairs.jsonl", rows)
    config = DatasetConfig(
        kind="pairs", sources=(SourceConfig(path="pairs.jsonl", source="s", language="en"),)
    )
    prepare_dataset(
        config, tmp_path / "out", tokenizer=Tokenizer.load(tokenizer_folder), root=tmp_path
    )
    (group,) = read_groups(tmp_path / "out")
    assert (group.query, set(group.positives), group.source) == ("q", {"a", "b"}, "s")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"query": "q"}, "no field `positives` or `pos` or `document`"),
        ({"query": "q", "document": " "}, "field `document` is empty"),
        ({"query": "q", "positives": [1]}, "field `positives` holds no string"),
        ({"query": "q", "positives": []}, "1 queries and 0 positives"),
        ("text", "no named fields"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, row, message) -> None:
    file = write_lines(tmp_path / "x.jsonl", [{"query": "q", "document": "d"}, row])
    with pytest.raises(DataError, match=r"x\.jsonl:2.*" + message):
        read_groups(file)


def test_an_output_is_checked_before_the_work(tmp_path) -> None:
    with pytest.raises(DataError, match="unknown suffix"):
        check_group_file(tmp_path / "x.txt")
    with pytest.raises(DataError, match="no such folder"):
        check_group_file(tmp_path / "no" / "x.jsonl")


def test_a_path_that_is_not_there_is_told(tmp_path) -> None:
    with pytest.raises(DataError, match="absent: no such file or folder"):
        read_groups(tmp_path / "absent")
