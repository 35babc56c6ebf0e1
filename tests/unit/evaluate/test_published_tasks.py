"""Published collections as tasks: forums with a mean, answers, excluded documents."""

import subprocess
import sys

import numpy as np
import pytest
from tests.unit.evaluate.test_collections import write

from mgte.evaluate import RetrievalConfig
from mgte.evaluate.collection import collection_hash, read_collection
from mgte.evaluate.run_files import evaluate_run
from mgte.evaluate.subjects import EmbedderSubject, Subject
from mgte.evaluate.suite import build_task
from mgte.evaluate.tasks import TaskContext
from mgte.inference import Embedder

TEXTS = ["the moon is for the sea", "bread and water", "a map to read the road", "plant light"]


@pytest.fixture
def subject(hybrid_folder) -> Subject:
    return Subject(encoder=EmbedderSubject(Embedder.load(str(hybrid_folder))))


def write_forum(folder, texts, queries) -> None:
    """Query i asks for text i."""
    write(folder / "corpus.jsonl", [{"_id": f"d{i}", "text": text} for i, text in enumerate(texts)])
    write(folder / "queries.jsonl", [{"_id": f"q{i}", "text": q} for i, q in enumerate(queries)])
    lines = "".join(f"q{i}\td{i}\t1\n" for i in range(len(queries)))
    write(folder / "qrels/test.tsv", "query-id\tcorpus-id\tscore\n" + lines)


def test_forums_have_a_mean_in_which_each_counts_once(tmp_path, subject) -> None:
    write_forum(tmp_path / "mteb/forum-a", TEXTS, ["sea", "bread", "map", "light"])
    write_forum(tmp_path / "mteb/forum-b", TEXTS[:3], ["water"])
    entry = {
        "kind": "retrieval",
        "name": "forums",
        "modes": ["dense", "bm25"],
        "collection": {"layout": "beir", "data": "mteb/forum-{subset}", "subsets": ["a", "b"]},
    }
    results = build_task(entry, tmp_path).run(subject, TaskContext())
    assert [(r.subset, r.variant) for r in results] == [
        (subset, mode) for subset in ("a", "b", "") for mode in ("dense", "bm25")
    ]
    a, _, b, _, mean, _ = results
    for name, value in mean.metrics.items():
        assert value == pytest.approx((a.metrics[name] + b.metrics[name]) / 2)
    assert np.mean(list(mean.per_item.values())) == pytest.approx(mean.main)
    assert (mean.num_items, len(mean.per_item)) == (5, 5)
    assert mean.interval[0] <= mean.main <= mean.interval[1]
    assert mean.facts["num_documents"] == 7
    assert len({a.dataset_hash, b.dataset_hash, mean.dataset_hash}) == 3


def test_mkqa_counts_passages_with_an_answer(tmp_path, subject) -> None:
    write(tmp_path / "nq/corpus.jsonl", [{"_id": f"d{i}", "text": t} for i, t in enumerate(TEXTS)])
    rows = [
        {"id": 1, "question": "was?", "answers": ["the SEA", "ocean"]},
        {"id": 2, "question": "wo?", "answers": ["nowhere"]},
    ]
    write(tmp_path / "qa/de.jsonl", rows)
    entry = {
        "kind": "retrieval",
        "name": "MKQA-de",
        "modes": ["dense", "sparse", "hybrid"],
        "main_metric": "answer_recall_at_20",
        "collection": {"layout": "mkqa", "data": "nq", "queries": "qa", "subset": "de"},
    }
    dense, *_ = build_task(entry, tmp_path).run(subject, TaskContext())
    assert dense.per_item == {"de:1": 1.0, "de:2": 0.0}  # four passages: all are among the first 20
    assert (dense.main, dense.subset) == (0.5, "")


def test_languages_that_share_passages_are_searched_at_once(tmp_path, subject) -> None:
    write(tmp_path / "nq/corpus.jsonl", [{"_id": f"d{i}", "text": t} for i, t in enumerate(TEXTS)])
    asked = {"de": [("der Mond", "sea"), ("Brot", "wine")], "fr": [("le pain", "water")]}
    for language, rows in asked.items():
        rows = [{"id": i, "question": q, "answers": [a]} for i, (q, a) in enumerate(rows)]
        write(tmp_path / f"qa/{language}.jsonl", rows)
    texts: list[str] = []
    encode = subject.encoder.encode

    def counted(given, **options):
        texts.extend(given)
        return encode(given, **options)

    subject.encoder.encode = counted

    def results(**subsets):
        collection = {"layout": "mkqa", "data": "nq", "queries": "qa", **subsets}
        entry = {"kind": "retrieval", "name": "MKQA", "main_metric": "answer_recall_at_20"}
        task = build_task(entry | {"collection": collection}, tmp_path)
        # One document each: which one is found decides.
        return task.run(subject, TaskContext(retrieval=RetrievalConfig(top_k=1)))

    joint = results(subsets=["fr", "de"])
    assert len(texts) == len(TEXTS) + 3
    modes = ["dense", "sparse", "hybrid", "bm25"]
    assert [(r.subset, r.variant) for r in joint] == [
        (language, mode) for language in ("fr", "de", "") for mode in modes
    ]
    for language, found in (("fr", joint[:4]), ("de", joint[4:8])):
        for ours, alone in zip(found, results(subset=language), strict=True):
            assert ours.per_item == alone.per_item
            assert ours.metrics == alone.metrics
            assert ours.language == language
            assert ours.dataset_hash == alone.dataset_hash
    for fr, de, mean in zip(joint[:4], joint[4:8], joint[8:], strict=True):
        assert mean.main == pytest.approx((fr.main + de.main) / 2)


def test_excluded_documents_are_not_found(tmp_path, subject) -> None:
    rows = [{"id": f"d{i}", "content": text} for i, text in enumerate(TEXTS)]
    write(tmp_path / "BRIGHT/documents/pony-0.parquet", rows)
    example = {"id": "0", "query": TEXTS[0], "gold_ids": ["d2"]}
    entry = {
        "kind": "retrieval",
        "name": "BRIGHT-pony",
        "collection": {"layout": "bright", "data": "BRIGHT", "subset": "pony"},
        # Nothing beyond the wanted document may make room for the excluded ones.
        "retrieval": {"top_k": 1},
    }
    hashes = set()
    for excluded, value in ((["d0", "d1", "d3"], 1.0), (["N/A"], 0.0)):
        write(tmp_path / "BRIGHT/examples/pony-0.parquet", [example | {"excluded_ids": excluded}])
        dense, *_ = build_task(entry, tmp_path).run(subject, TaskContext(modes=("dense",)))
        assert dense.main == value
        hashes.add(dense.dataset_hash)
    assert len(hashes) == 2


def test_a_run_tells_the_same_data_as_a_model(beir_folder) -> None:
    collection = read_collection(beir_folder)
    result = evaluate_run({"q1": {"d1": 1.0}}, collection)
    assert result.dataset_hash == collection_hash(collection)


def test_runs_and_answers_load_no_torch() -> None:
    modules = ("run_files", "answer_recall", "significance", "collections")
    imports = ", ".join(f"mgte.evaluate.{module}" for module in modules)
    code = f"import sys, {imports}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
