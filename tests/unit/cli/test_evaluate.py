"""`mgte evaluate` prints one row per collection and writes what it measured."""

import json
import shutil
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


def test_a_collection_that_fails_costs_no_other(mgte, tiny_embedder, beir_folder, tmp_path) -> None:
    broken, out = tmp_path / "broken", tmp_path / "out.json"
    shutil.copytree(beir_folder, broken)
    (broken / "queries.jsonl").write_text("not json\n")
    again = tmp_path / "again"
    shutil.copytree(beir_folder, again)
    words = ("evaluate", tiny_embedder, "--split", "de", "--data", beir_folder, broken, again)
    result = mgte(*words, "--out", out)
    assert result.code == 2
    assert [line.split()[0] for line in result.out.splitlines()[1:]] == [
        "small/de",
        "again/de",
        "mean",
    ]
    assert f"error: {broken}/queries.jsonl:1" in result.err
    assert "1 of 3 collections failed" in result.err
    assert [one["collection"] for one in json.loads(out.read_text())] == ["small", "again"]
    result = mgte(*words, "--json")
    assert result.code == 2
    assert [json.loads(line)["collection"] for line in result.out.splitlines()] == [
        "small",
        "again",
    ]


def test_what_was_measured_is_kept_when_the_program_ends(
    mgte, tiny_embedder, beir_folder, tmp_path, monkeypatch
) -> None:
    from mgte.evaluate import retrieval

    out, measure = tmp_path / "out.json", retrieval.search_and_measure
    calls: list[int] = []

    def stop_at_the_second(*arguments, **options):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return measure(*arguments, **options)

    monkeypatch.setattr(retrieval, "search_and_measure", stop_at_the_second)
    words = ("evaluate", tiny_embedder, "--split", "de", "--data", beir_folder, beir_folder)
    result = mgte(*words, "--out", out)
    assert result.code != 0
    assert result.out.splitlines()[1].split()[0] == "small/de"
    assert len(json.loads(out.read_text())) == 1


def test_a_query_does_not_find_itself(mgte, tiny_embedder, tmp_path) -> None:
    folder = tmp_path / "debate"
    (folder / "qrels").mkdir(parents=True)
    rows = [{"_id": "t1", "text": "the moon"}, {"_id": "t2", "text": "the sea"}]
    for name in ("corpus", "queries"):
        lines = [json.dumps(row) for row in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nt1\tt2\t1\n")
    words = ("evaluate", tiny_embedder, "--data", folder, "--modes", "dense", "--json")
    result = mgte(*words)
    assert "1 queries not ranked for themselves" in result.err
    assert json.loads(result.out)["metrics"]["dense"]["mrr_at_10"] == 1.0
    result = mgte(*words, "--own-documents", "none")
    assert json.loads(result.out)["metrics"]["dense"]["mrr_at_10"] == 0.5


def test_a_reranker_alone_ranks_what_bm25_finds(mgte, tiny_reranker, beir_folder, tmp_path) -> None:
    tables = [
        mgte("evaluate", *words, "--data", beir_folder, "--split", "de")
        for words in ((tiny_reranker,), ("--reranker", tiny_reranker))
    ]
    assert [table.code for table in tables] == [0, 0]
    assert tables[0].out == tables[1].out
    assert tables[0].out.split()[:3] == ["nDCG@10", "reranked", "bm25"]
    wrong = mgte(
        "evaluate", tiny_reranker, "--data", beir_folder, "--split", "de", "--modes", "dense"
    )
    assert "'dense' needs an embedding model" in wrong.err


def test_folders_of_one_name_are_told_apart(mgte, tiny_embedder, beir_folder, tmp_path) -> None:
    for parent in ("one", "two"):
        shutil.copytree(beir_folder, tmp_path / parent / "same")
    folders = [tmp_path / parent / "same" for parent in ("one", "two")]
    words = ("evaluate", tiny_embedder, "--data", *folders, "--split", "de")
    names = [line.split()[0] for line in mgte(*words).out.splitlines()[1:3]]
    assert names == ["one-same/de", "two-same/de"]
    report = mgte(*words, "--out", tmp_path / "report", "--json")
    assert {json.loads(line)["task"] for line in report.out.splitlines()} == {
        "one-same",
        "two-same",
    }
