"""Row shards are plain Parquet, and rows are found by number in any order."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from mgte.data import row_shards
from mgte.data.row_shards import RowShards, RowShardWriter, row_schema
from mgte.errors import DataError

NUM_ROWS = 300


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    writer = RowShardWriter(tmp_path, row_schema("pairs"), rows_per_shard=128)
    for i in range(NUM_ROWS):
        writer.add(
            query=f"q{i}", document=f"d{i}", source=f"s{i % 2}", language="en", place=f"f:{i}",
            query_length=i, length=2 * i,
        )  # fmt: skip
    assert writer.finish() == [f"rows-0000{i}.parquet" for i in range(3)]
    return tmp_path


def opened(folder: Path) -> RowShards:
    return RowShards(folder, sorted(path.name for path in folder.glob("*.parquet")))


def test_rows_by_number_in_the_order_asked_for(folder: Path) -> None:
    shards = opened(folder)
    assert shards.num_rows == NUM_ROWS
    rows = np.random.default_rng(1).integers(0, NUM_ROWS, 500)
    found = shards.rows(rows, ("document", "query"))
    assert [record["query"] for record in found] == [f"q{row}" for row in rows]
    assert found[0].keys() == {"document", "query"}
    assert shards.rows(np.array([], np.int64), ("query",)) == []


def test_whole_columns(folder: Path) -> None:
    shards = opened(folder)
    assert shards.column("length", np.int64).tolist() == [2 * i for i in range(NUM_ROWS)]
    assert shards.name_ids("source", ("s1", "s0"))[:3].tolist() == [1, 0, 1]
    with pytest.raises(DataError, match="unknown name"):
        shards.name_ids("source", ("s1",))


def test_little_memory_gives_the_same_rows(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(row_shards, "_CACHE_BYTES", 1)
    monkeypatch.setattr(row_shards, "_MAX_OPEN_FILES", 1)
    shards = opened(folder)
    rows = np.arange(NUM_ROWS)[::-1]
    assert [r["query"] for r in shards.rows(rows, ("query",))] == [f"q{row}" for row in rows]
    assert len(shards._cache) == 1


def test_a_file_in_use_stays_open(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(row_shards, "_CACHE_BYTES", 1)
    monkeypatch.setattr(row_shards, "_MAX_OPEN_FILES", 2)
    shards = opened(folder)
    shards._opened(0), shards._opened(1)
    used = shards._opened(0)
    shards._opened(2)
    assert shards._opened(0) is used


def test_others_read_the_files(folder: Path) -> None:
    table = pq.read_table(folder)
    assert table.column("query").to_pylist() == [f"q{i}" for i in range(NUM_ROWS)]


def test_vectors_keep_their_rows(tmp_path: Path) -> None:
    vectors = np.random.default_rng(2).normal(size=(150, 6)).astype(np.float16)
    writer = RowShardWriter(tmp_path, row_schema("vectors", 6), rows_per_shard=100)
    for i, vector in enumerate(vectors):
        writer.add(
            text=f"t{i}", vector=vector, source="s", language="en", place="f:1", query_length=0,
            length=1,
        )  # fmt: skip
    writer.finish()
    rows = np.array([149, 0, 64, 0, 99, 100])
    np.testing.assert_array_equal(opened(tmp_path).vectors(rows, "vector", 6), vectors[rows])


def test_a_damaged_file_is_named(folder: Path) -> None:
    path = folder / "rows-00001.parquet"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DataError, match=r"rows-00001.parquet: not readable as Parquet"):
        opened(folder)
