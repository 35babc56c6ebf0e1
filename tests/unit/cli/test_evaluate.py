"""`mgte evaluate` prints one row per collection and writes what it measured."""

import json
from pathlib import Path

import pytest


@pytest.fixture
def beir_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "small"
    (folder / "qrels").mkdir(parents=True)
    documents = {"de-1": "the moon and the tide", "de-2": "bread", "fr-1": "the sea"}
    rows = [json.dumps({"_id": i, "title": "", "text": text}) for i, text in documents.items()]
    (folder / "corpus.jsonl").write_text("\n".join(rows) + "\n")
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "bread"}\n')
    (folder / "qrels" / "de.tsv").write_text("query-id\tcorpus-id\tscore\nq\tde-2\t1\n")
    return folder


def test_a_table_and_a_file(mgte, tiny_embedder, beir_folder, tmp_path) -> None:
    out = tmp_path / "out.json"
    result = mgte("evaluate", tiny_embedder, "--data", beir_folder, "--split", "de", "--out", out)
    assert result.code == 0, result.err
    header, row = result.out.splitlines()
    assert header.split() == ["nDCG@10", "dense", "bm25"]
    assert row.split()[0] == "small/de"
    assert row.split()[2] == "1.0000"
    assert "3 documents" in result.err
    (written,) = json.loads(out.read_text())
    assert written["metrics"]["bm25"]["ndcg_at_10"] == 1.0
    assert written["per_query"]["bm25"]["q"]["map"] == 1.0


def test_all_columns_and_their_mean(mgte, tiny_sparse_embedder, tiny_reranker, beir_folder) -> None:
    words = ("evaluate", tiny_sparse_embedder, "--data", beir_folder, beir_folder, "--split", "de")
    result = mgte(*words, "--reranker", tiny_reranker)
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[0].split() == ["nDCG@10", "dense", "sparse", "hybrid", "reranked", "bm25"]
    assert [line.split()[0] for line in lines[1:]] == ["small/de", "small/de", "mean"]


def test_json_and_a_pattern_of_documents(mgte, tiny_embedder, beir_folder) -> None:
    words = ("evaluate", tiny_embedder, "--data", beir_folder, "--split", "de", "--json")
    result = mgte(*words, "--document-ids", "{split}-*")
    (line,) = [json.loads(line) for line in result.out.splitlines()]
    assert line["num_documents"] == 2
    assert "per_query" not in line


def test_what_is_not_there_is_named(mgte, tiny_embedder, beir_folder, tmp_path) -> None:
    result = mgte("evaluate", tiny_embedder, "--data", beir_folder)
    assert result.code == 2
    assert "no qrels/test.tsv" in result.err
    words = ("evaluate", tiny_embedder, "--data", beir_folder, "--split", "de")
    assert mgte(*words, "--out", tmp_path / "no" / "x.json").code == 2
    result = mgte(*words, "--modes", "sparse")
    assert result.code == 2
    assert "needs a model with sparse token weights" in result.err
