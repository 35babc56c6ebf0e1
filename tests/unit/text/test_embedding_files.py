"""Embeddings come back from every kind of file as they were written."""

import json
from pathlib import Path

import numpy as np
import pytest

from mgte.errors import DataError
from mgte.text import check_output, read_embeddings, write_embeddings
from mgte.vectors import Embeddings, SparseVectors

SUFFIXES = [".npz", ".jsonl", ".parquet"]


class Names:
    def decode(self, token_ids):
        return f"<{token_ids[0]}>"


def make_embeddings(num_texts: int = 5, *, dense: bool = True, sparse: bool = True) -> Embeddings:
    generator = np.random.default_rng(7)
    lengths = generator.integers(0, 4, num_texts)
    rows = [np.sort(generator.choice(1000, n, replace=False)) for n in lengths]
    num_terms = int(lengths.sum())
    vectors = SparseVectors(
        indptr=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        indices=np.concatenate([*rows, []]).astype(np.int32),
        values=generator.random(num_terms).astype(np.float32) + np.float32(1e-7),
        vocab_size=1000,
    )
    return Embeddings(
        dense=generator.standard_normal((num_texts, 7)).astype(np.float32) if dense else None,
        sparse=vectors if sparse else None,
        num_tokens=generator.integers(1, 9, num_texts),
        is_truncated=generator.random(num_texts) < 0.5,
    )


def assert_equal(left: Embeddings, right: Embeddings) -> None:
    np.testing.assert_array_equal(left.num_tokens, right.num_tokens)
    np.testing.assert_array_equal(left.is_truncated, right.is_truncated)
    assert (left.dense is None) == (right.dense is None)
    if left.dense is not None and right.dense is not None:
        assert right.dense.dtype == np.float32
        np.testing.assert_array_equal(left.dense, right.dense)
    assert (left.sparse is None) == (right.sparse is None)
    if left.sparse is not None and right.sparse is not None:
        for name in ("indptr", "indices", "values"):
            np.testing.assert_array_equal(getattr(left.sparse, name), getattr(right.sparse, name))
            assert getattr(left.sparse, name).dtype == getattr(right.sparse, name).dtype
        assert left.sparse.vocab_size == right.sparse.vocab_size


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("dense", "sparse"), [(True, True), (True, False), (False, True)], ids=str)
def test_what_is_read_is_what_was_written(
    tmp_path: Path, suffix: str, dense: bool, sparse: bool
) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    embeddings = make_embeddings(dense=dense, sparse=sparse)
    ids = ["a", "", "ü", '"quoted"\n', "中国"]
    path = tmp_path / f"vectors{suffix}"
    path.write_bytes(b"old")
    write_embeddings(path, embeddings, ids, Names())
    read_ids, read = read_embeddings(path)
    assert read_ids == ids
    assert_equal(embeddings, read)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_no_texts_at_all(tmp_path: Path, suffix: str) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    write_embeddings(tmp_path / f"v{suffix}", make_embeddings(0), [])
    ids, read = read_embeddings(tmp_path / f"v{suffix}")
    assert ids == []
    assert_equal(make_embeddings(0), read)


def test_lines_are_json_with_token_names_also_on_standard_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    embeddings = make_embeddings(3)
    write_embeddings(tmp_path / "v.jsonl", embeddings, ["a", "b", "c"], Names())
    write_embeddings(None, embeddings, ["a", "b", "c"], Names())
    printed = capsys.readouterr().out
    assert printed == (tmp_path / "v.jsonl").read_text()
    for index, line in enumerate(printed.splitlines()):
        record = json.loads(line)
        assert record["sparse"]["tokens"] == [f"<{i}>" for i in record["sparse"]["ids"]]
        assert record["num_tokens"] == embeddings.num_tokens[index]


def test_parquet_has_the_columns_that_are_documented(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    write_embeddings(tmp_path / "v.parquet", make_embeddings(), list("abcde"), Names())
    schema = pyarrow.parquet.read_schema(tmp_path / "v.parquet")
    assert {name: schema.field(name).type for name in schema.names} == {
        "id": pa.string(),
        "num_tokens": pa.int64(),
        "is_truncated": pa.bool_(),
        "dense": pa.list_(pa.float32(), 7),
        "sparse_ids": pa.list_(pa.int32()),
        "sparse_weights": pa.list_(pa.float32()),
        "sparse_tokens": pa.list_(pa.string()),
    }


def test_faults_leave_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "v.npz"
    path.write_bytes(b"old")

    def full_disk(*_args: object, **_kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_embeddings(path, make_embeddings(), list("abcde"))
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["v.npz"]


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    embeddings = make_embeddings(2)
    with pytest.raises(DataError, match=r"unknown suffix `\.bin`, expected one of \.npz"):
        check_output(tmp_path / "v.bin")
    with pytest.raises(DataError, match="no such folder"):
        check_output(tmp_path / "absent" / "v.npz")
    (tmp_path / "d.npz").mkdir()
    with pytest.raises(DataError, match="is a folder"):
        check_output(tmp_path / "d.npz")
    with pytest.raises(DataError, match="ids: got 1 for 2 texts"):
        write_embeddings(tmp_path / "v.npz", embeddings, ["a"])
    assert embeddings.dense is not None
    embeddings.dense[1, 3] = np.nan
    with pytest.raises(DataError, match="the vector of `b` holds NaN or infinity"):
        write_embeddings(tmp_path / "v.npz", embeddings, ["a", "b"])


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("content", [b"", b"x", b"PK\x03\x04", b'{"id": 1}\n'])
def test_foreign_files_are_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"v{suffix}"
    with pytest.raises(DataError, match="no such file"):
        read_embeddings(path)
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"v\{suffix}"):
        read_embeddings(path)
