"""Runs come back as they went, and measure the same everywhere."""

import gzip

import numpy as np
import pytest
import pytrec_eval

from mgte.errors import DataError
from mgte.evaluate import bm25_rankings, read_collection
from mgte.evaluate.collection import make_answer_collection
from mgte.evaluate.rankings import rerank
from mgte.evaluate.run_files import (
    evaluate_run,
    read_run,
    run_of_rankings,
    write_qrels,
    write_run,
)
from mgte.search import Ranking
from mgte.text import Document, Query, read_qrels


def random_run(seed: int, num_values: int) -> dict[str, dict[str, float]]:
    random = np.random.default_rng(seed)
    scale = 10.0 ** random.integers(-9, 9)
    values = (random.normal(size=num_values) * scale).astype(np.float32)
    return {
        f"q{query}": {f"d{doc}": float(random.choice(values)) for doc in range(60)}
        for query in range(5)
    }


@pytest.mark.parametrize("num_values", [3, 300])
def test_a_run_comes_back_exactly(tmp_path, num_values) -> None:
    write_run(tmp_path / "a.run", random_run(1, num_values), tag="made")
    first = read_run(tmp_path / "a.run")
    write_run(tmp_path / "b.run", first, tag="made")
    assert (tmp_path / "a.run").read_bytes() == (tmp_path / "b.run").read_bytes()
    again = read_run(tmp_path / "b.run")
    assert again == first
    assert [list(found) for found in again.values()] == [list(found) for found in first.values()]


def test_scores_that_differ_come_back_as_they_are(tmp_path) -> None:
    run = random_run(2, 100_000)
    write_run(tmp_path / "a.run", run, tag="made")
    assert read_run(tmp_path / "a.run") == run


def test_equal_scores_keep_their_order(tmp_path, beir_folder) -> None:
    collection = read_collection(beir_folder)
    flat = Ranking(rows=np.array([3, 0, 4, 1]), scores=np.zeros(4, np.float32))
    rankings = [flat, rerank(flat, np.zeros(2, np.float32)), flat]
    run = run_of_rankings(rankings, collection)
    write_run(tmp_path / "a.run", run, tag="flat")
    assert [list(found) for found in read_run(tmp_path / "a.run").values()] == [
        list(found) for found in run.values()
    ]


def test_a_run_measures_what_its_rankings_do_and_what_pytrec_eval_says(
    tmp_path, beir_folder
) -> None:
    collection = read_collection(beir_folder)
    run = run_of_rankings(bm25_rankings(collection, 5), collection)
    write_run(tmp_path / "bm25.run.txt", run, tag="bm25")
    result = evaluate_run(read_run(tmp_path / "bm25.run.txt"), collection, variant="bm25")
    theirs = pytrec_eval.RelevanceEvaluator(collection.qrels, {"ndcg_cut.10"}).evaluate(run)
    expected = np.mean(
        [theirs[q]["ndcg_cut_10"] if q in theirs else 0.0 for q in ("q1", "q2", "q3")]
    )
    assert result.main == pytest.approx(expected)
    assert (result.num_items, result.variant, result.kind) == (3, "bm25", "retrieval")
    assert result.interval[0] <= result.main <= result.interval[1]


def test_facts_tell_what_the_run_lacks(beir_folder) -> None:
    collection = read_collection(beir_folder)
    result = evaluate_run({"q2": {"elsewhere": 2.0, "d2": 1.0}}, collection)
    assert result.facts["num_queries_missing"] == 2
    assert result.facts["num_unknown_documents"] == 1
    assert result.per_item == pytest.approx({"q1": 0.0, "q2": 1 / np.log2(3), "q3": 0.0})
    with pytest.raises(DataError, match="the run has 1 queries, none of the 3 that are judged"):
        evaluate_run({"x": {"d1": 1.0}}, collection)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("q1 Q0 d2 2 0.5", "run:3: got 5 columns, expected 6: query Q0 document rank"),
        ("q1 Q0 d1 2 0.5 x", "run:3: document d1 stands twice under query q1"),
        ("q1 Q0 d2 2 high x", "run:3: score is `high`, expected a finite number"),
        ("q1 Q0 d2 2 nan x", "run:3: score is `nan`"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, message) -> None:
    (tmp_path / "run").write_text(f"q1 Q0 d1 1 0.75 x\n\n{line}\n")
    with pytest.raises(DataError, match=message):
        read_run(tmp_path / "run")


def test_other_faults_are_told(tmp_path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_run(tmp_path / "absent")
    (tmp_path / "blank").write_text("\n\n")
    with pytest.raises(DataError, match="holds no line of a run"):
        read_run(tmp_path / "blank")
    with pytest.raises(DataError, match="got the id 'd 1', expected one without white space"):
        write_run(tmp_path / "x", {"q": {"d 1": 1.0}}, tag="t")
    with pytest.raises(DataError, match="document d of query q scores inf"):
        write_run(tmp_path / "x", {"q": {"d": float("inf")}}, tag="t")


def test_a_compressed_run_is_read(tmp_path) -> None:
    with gzip.open(tmp_path / "a.run.gz", "wt") as stream:
        stream.write("q\tQ0\td1\t1\t2\tx\nq Q0 d2 2 2 x\n")
    assert list(read_run(tmp_path / "a.run.gz")["q"]) == ["d2", "d1"]  # ties: falling id


@pytest.mark.parametrize("format", ["trec", "beir"])
def test_judgements_come_back(tmp_path, format) -> None:
    qrels = {"q1": {"d1": 2, "d2": 0}, "q2": {"d1": 1}}
    write_qrels(tmp_path / "qrels.tsv", qrels, format=format)
    assert read_qrels(tmp_path / "qrels.tsv") == qrels


def test_a_run_over_answers_is_measured_by_them() -> None:
    documents = [
        Document(doc_id="d1", text="of Rome", title="Fall"),
        Document(doc_id="d2", text=""),
    ]
    queries = [Query(query_id=f"q{number}", text="?") for number in range(3)]
    answers = {"q0": ("ROME",), "q1": ("fall of",), "q2": ("Paris",)}
    collection = make_answer_collection(documents, queries, answers, name="made")
    run = {f"q{number}": {"gone": 3.0, "d2": 2.0, "d1": 1.0} for number in range(3)}
    result = evaluate_run(run, collection)
    assert result.main_metric == "answer_recall_at_20"
    assert result.per_item == {"q0": 1.0, "q1": 1.0, "q2": 0.0}
    assert result.metrics["answer_recall_at_1"] == 0.0
    assert result.main == pytest.approx(2 / 3)
