"""`mgte mine` reads pairs and writes groups and a report."""

import json
from pathlib import Path

import pytest

PAIRS = [
    ("tide", "the moon and the sea"),
    ("bread", "how to bake bread"),
    ("map", "a road map"),
    ("train", "the train is for grow"),
    ("plant", "light for the plant"),
]


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.jsonl"
    rows = [json.dumps({"query": query, "document": document}) for query, document in PAIRS]
    path.write_text("\n".join(rows) + "\n")
    return path


def test_groups_and_a_report(mgte, tiny_embedder, pairs, tmp_path) -> None:
    out, report = tmp_path / "groups.jsonl", tmp_path / "report.md"
    words = ("mine", pairs, "--model", tiny_embedder, "--out", out, "--report", report, "--json")
    rules = ("--window", "1", "3", "--negatives", "2", "--relative-margin", "0")
    result = mgte(*words, *rules)
    assert result.code == 0, result.err
    groups = [json.loads(line) for line in out.read_text().splitlines()]
    assert [group["query"] for group in groups] == [query for query, _ in PAIRS]
    documents = {document for _, document in PAIRS}
    for group in groups:
        assert len(group["negatives"]) == 2
        assert set(group["negatives"]) <= documents - set(group["positives"])
        assert group["source"] == "pairs"
    assert json.loads(result.out)["num_negatives"] == {"pairs": 10}
    assert "| pairs | 5 | 5 |" in report.read_text()


def test_a_reranker_s_scores_are_written(
    mgte, tiny_embedder, tiny_reranker, pairs, tmp_path
) -> None:
    from mgte.inference import Reranker

    out = tmp_path / "groups.parquet"
    words = ("mine", pairs, "--model", tiny_embedder, "--out", out, "--reranker", tiny_reranker)
    rules = ("--window", "1", "4", "--relative-margin", "0", "--teacher-margin", "-100")
    assert mgte(*words, *rules).code == 0
    parquet = pytest.importorskip("pyarrow.parquet")
    row = parquet.read_table(out).to_pylist()[0]
    pairs_of_row = [(row["query"], text) for text in (*row["positives"], *row["negatives"])]
    scores = Reranker.load(str(tiny_reranker)).predict(pairs_of_row, activation="none")
    assert [*row["positive_scores"], *row["negative_scores"]] == pytest.approx(
        scores.tolist(), abs=1e-5
    )


def test_what_is_wrong_is_said_before_the_model_is_loaded(mgte, pairs, tmp_path) -> None:
    words = ("mine", pairs, "--model", tmp_path / "none")
    assert "unknown suffix" in mgte(*words, "--out", tmp_path / "x.csv").err
    out = ("--out", tmp_path / "x.jsonl")
    assert "expected 1 <= first" in mgte(*words, *out, "--window", "5", "2").err
    assert "no such file or folder" in mgte(*words, *out, "--corpus", tmp_path / "absent").err
    assert "--field: got 'text'" in mgte(*words, *out, "--field", "text").err


def test_the_corpus_of_a_collection_is_searched(mgte, tiny_embedder, pairs, tmp_path) -> None:
    folder = tmp_path / "plants"
    (folder / "qrels").mkdir(parents=True)
    texts = {str(number): document for number, (_, document) in enumerate(PAIRS)}
    corpus = [json.dumps({"_id": name, "text": text}) for name, text in texts.items()]
    (folder / "corpus.jsonl").write_text("\n".join(corpus) + "\n")
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "tide"}) + "\n")
    (folder / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\nq\t0\t1\n")
    out = tmp_path / "groups.jsonl"
    words = ("mine", folder, "--model", tiny_embedder, "--out", out, "--relative-margin", "0")
    assert mgte(*words, "--window", "1", "9").code == 0
    group = json.loads(out.read_text())
    assert set(group["negatives"]) == set(texts.values()) - {PAIRS[0][1]}
    assert group["source"] == "plants"


def test_a_window_behind_the_last_document_is_told(mgte, tiny_embedder, pairs, tmp_path) -> None:
    out = tmp_path / "groups.jsonl"
    result = mgte("mine", pairs, "--model", tiny_embedder, "--out", out)
    assert result.code == 0
    assert "the window takes ranks 10 to 100" in result.err
