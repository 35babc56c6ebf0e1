"""Opening checks what it opens and names what is wrong."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.unit.data.made_files import dataset_config, write_rows

from mgte.data import open_dataset, prepare_dataset, text_hash
from mgte.errors import DataError
from mgte.text import Tokenizer

SHARDS = {"texts": "tokens-00000.npy", "pairs": "rows-00000.parquet"}


@pytest.fixture(params=["texts", "pairs"])
def folder(request, tmp_path: Path, tokenizer_folder: Path) -> Path:
    rows = [{"text": f"t {i}", "query": f"q {i}", "document": f"d {i}"} for i in range(50)]
    write_rows(tmp_path / "r.jsonl", rows)
    config = dataset_config(request.param, {"path": "r.jsonl"})
    tokenizer = Tokenizer.load(tokenizer_folder)
    dataset = prepare_dataset(config, tmp_path / "out", tokenizer=tokenizer, root=tmp_path)
    return dataset.path


def shard_of(folder: Path) -> Path:
    return next(path for name in SHARDS.values() if (path := folder / name).exists())


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("damage", "verify", "message"),
    [
        (cut, False, r"has [\d,]+ bytes, expected [\d,]+"),
        (Path.unlink, False, "is missing"),
        (flip, True, "checksum"),
    ],
)
def test_a_damaged_shard_is_named(folder: Path, damage: Callable, verify: bool, message) -> None:
    shard = shard_of(folder)
    damage(shard)
    with pytest.raises(DataError, match=message) as caught:
        open_dataset(folder, verify=verify)
    assert str(shard) in str(caught.value)
    assert caught.value.hint


def test_an_undamaged_folder_verifies(folder: Path, tokenizer_folder: Path) -> None:
    tokenizer = Tokenizer.load(tokenizer_folder)
    assert open_dataset(folder, tokenizer=tokenizer, verify=True).num_rows == 50


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "manifest.json: damaged"),
        (lambda text: text.replace('"format_version": 1', '"format_version": 2'), "version 2"),
        (lambda text: text.replace('"num_rows": 50', '"num_rows": 0'), "holds no rows"),
        (lambda text: text.replace('"num_rows": 50', '"num_rows": 51'), "holds 50 rows"),
        (lambda text: text.replace('"num_rows": 50', '"num_rows": "x"'), "num_rows: got 'x'"),
        (lambda text: "[]", "version None"),
    ],
)
def test_a_changed_manifest_is_named(folder: Path, change: Callable, message: str) -> None:
    path = folder / "manifest.json"
    path.write_text(change(path.read_text("utf-8")), "utf-8")
    with pytest.raises(DataError, match=message):
        open_dataset(folder)


def test_another_tokenizer_is_refused(folder: Path, tokenizer_folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    content = json.loads((tokenizer_folder / "tokenizer.json").read_text("utf-8"))
    content["normalizer"]["lowercase"] = False
    (other / "tokenizer.json").write_text(json.dumps(content), "utf-8")
    with pytest.raises(DataError, match="another tokenizer"):
        open_dataset(folder, tokenizer=Tokenizer.load(other))


def test_what_is_no_prepared_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        open_dataset(tmp_path / "absent")
    with pytest.raises(DataError, match=r"has no manifest\.json"):
        open_dataset(tmp_path)


def test_rows_and_kinds_that_are_not_there(folder: Path) -> None:
    dataset = open_dataset(folder)
    for row in (-1, 50):
        with pytest.raises(DataError, match=f"got row {row}, expected 0 to 49"):
            dataset.place(row)
    with pytest.raises(DataError, match=f"holds {dataset.kind}, expected vectors"):
        dataset.vector_rows(np.array([0]))
    if dataset.kind == "texts":
        with pytest.raises(DataError, match="holds texts, expected pairs or groups"):
            dataset.groups(np.array([0]))
    else:
        with pytest.raises(DataError, match="holds pairs, expected texts"):
            dataset.tokens(0)


def test_hashes_of_all_queries_equal_those_of_the_rows(folder: Path) -> None:
    dataset = open_dataset(folder)
    if dataset.kind == "texts":
        with pytest.raises(DataError, match="holds texts, expected pairs or groups"):
            _ = dataset.query_hashes
        return
    groups = dataset.groups(np.arange(dataset.num_rows))
    assert dataset.query_hashes.tolist() == [text_hash(group.query) for group in groups]
