"""Suites of published benchmarks: tasks can be built, and are found beside published numbers."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.evaluate.test_collections import CORPUS, write

from mgte.config import from_dict
from mgte.evaluate.collections import DatasetFiles, load_collection
from mgte.evaluate.records import TaskResult
from mgte.evaluate.reports.published import Place, place_of
from mgte.evaluate.suite import build_task, read_suite
from mgte.evaluate.tasks.retrieval import RetrievalTaskConfig

SIZES = {
    "beir": 15,
    "miracl": 18,
    "mldr": 13,
    "mkqa": 1,
    "mkqa-by-language": 25,
    "coir": 8 + 2 * 6,
    "coir-mteb": 8 + 2 * 6,
    "loco": 5,
    "bright": 12,
    "longembed": 4 + 2 * 8,
}


def records(suite: str) -> list[RetrievalTaskConfig]:
    return [from_dict(RetrievalTaskConfig, entry) for entry in read_suite(suite).tasks]


@pytest.mark.parametrize("suite", SIZES)
def test_every_task_can_be_built(suite, tmp_path) -> None:
    read = read_suite(suite)
    assert read.description
    tasks = [build_task(entry, tmp_path) for entry in read.tasks]
    assert len(tasks) == SIZES[suite]
    places = Counter(repr(record.collection) for record in records(suite))
    assert max(places.values()) == 1  # no collection is measured twice


def test_protocols_are_the_published_ones() -> None:
    assert {record.main_metric for record in records("mkqa")} == {"answer_recall_at_20"}
    assert read_suite("mkqa").settings.max_length == 512
    assert {record.collection.split for record in records("miracl")} == {"dev"}
    assert {record.collection.own_documents for record in records("beir")} == {"same-id"}
    assert not any(record.collection.join_titles for record in records("coir"))
    assert all(record.collection.join_titles for record in records("coir-mteb"))
    by_name = {record.name: record for record in records("longembed")}
    assert by_name["LongEmbed-passkey-4096"].main_metric == "ndcg_at_1"
    assert by_name["LongEmbed-passkey-4096"].collection.split == "test_4096"


def test_norwegian_is_no_boolean() -> None:
    named = [r.collection.subset for r in records("mkqa-by-language")]
    assert "no" in named
    assert records("mkqa")[0].collection.subsets == tuple(named)


@pytest.mark.parametrize(
    "suite", ["beir", "miracl", "mldr", "mkqa-by-language", "coir-mteb", "loco"]
)
def test_tasks_are_known_to_the_published_numbers(suite) -> None:
    for record in records(suite):
        place = place_of(result_of(record))
        assert place is not None, record.name
        assert place.part, record.name


def test_languages_of_mkqa_and_their_mean_are_known_to_the_published_numbers() -> None:
    [record] = records("mkqa")
    assert place_of(result_of(record)) == Place(benchmark="mkqa")
    for language in record.collection.subsets:
        part = replace(result_of(record), subset=language, language=language)
        assert place_of(part) == Place(benchmark="mkqa", part=language)


def result_of(record: RetrievalTaskConfig) -> TaskResult:
    return TaskResult(
        task=record.name,
        kind="retrieval",
        main_metric=record.main_metric,
        metrics={record.main_metric: 0.5},
        num_items=1,
        language=record.language,
    )


def test_a_task_of_a_suite_is_read_from_a_local_folder(tmp_path: Path) -> None:
    record = next(r for r in records("beir") if r.name == "BEIR-msmarco")
    write(tmp_path / "BeIR/msmarco/corpus.jsonl", CORPUS)
    write(tmp_path / "BeIR/msmarco/queries.jsonl", [{"_id": "q", "text": "?"}])
    # The hub calls the dev split "validation".
    write(tmp_path / "BeIR/msmarco-qrels/validation.tsv", "q\td1\t1\n")
    write(tmp_path / "BeIR/msmarco-qrels/test.tsv", "q\td2\t1\n")
    collection = load_collection(record.collection, DatasetFiles(tmp_path))
    assert collection.qrels == {"q": {"d1": 1}}
