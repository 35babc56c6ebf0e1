"""A suite goes on where it stopped, and no task stops another."""

import json
import shutil
from dataclasses import replace

import pytest
from tests.unit.evaluate.conftest import write_folder
from tests.unit.evaluate.fake_encoders import HashEncoder, NanEncoder, WordScorer

from mgte.config import from_dict
from mgte.errors import ConfigError, DataError
from mgte.evaluate.fine_tuning import GLUE_TASKS
from mgte.evaluate.records import TaskResult, read_report
from mgte.evaluate.reports.rows import report_rows
from mgte.evaluate.retrieval import evaluate_retrieval
from mgte.evaluate.retrieval_config import RetrievalConfig
from mgte.evaluate.subjects import Subject
from mgte.evaluate.suite import Suite, read_suite
from mgte.evaluate.suite_run import RunOptions, run_suite
from mgte.evaluate.suite_words import summary


def suite_of(*entries, **settings) -> Suite:
    values = {"name": "s", "title": "S", "tasks": list(entries), "settings": settings}
    return from_dict(Suite, values)


def entry(name, data="small", **fields):
    return {"kind": "retrieval", "name": name, "data": data, **fields}


def run(suite, subject, out, root, **options):
    told: list[str] = []
    report = run_suite(
        suite, subject, out, root=root, options=RunOptions(tell=told.append, **options)
    )
    return report, told


def test_results_are_those_of_the_single_calls(tmp_path, beir_folder) -> None:
    subject = Subject(encoder=HashEncoder(), reranker=WordScorer())
    suite = suite_of(entry("one"), entry("two", modes=["dense"], max_queries=2))
    report, told = run(suite, subject, tmp_path / "out", tmp_path)
    assert report.failures == ()
    alone = evaluate_retrieval(
        HashEncoder(),
        beir_folder,
        reranker=WordScorer(),
        modes=("dense", "sparse", "hybrid", "reranked", "bm25"),
    )
    found = {result.variant: result for result in report.results if result.task == "one"}
    assert list(found) == list(alone.modes)
    for mode, result in found.items():
        assert result.metrics == dict(alone.modes[mode].metrics)
        assert result.per_item == {
            query: values["ndcg_at_10"] for query, values in alone.modes[mode].per_query.items()
        }
        low, high = result.interval
        assert low <= result.main <= high
        assert {item.item_id for item in result.worst} == {"q1", "q2", "q3"}
    assert found["dense"].facts["num_queries"] == 3
    assert found["dense"].facts["item_document_characters"]["q2"] == len("bread and water")
    assert [r.variant for r in report.results if r.task == "two"] == ["dense"]
    assert report.model == "hash"
    assert report.reranker == "words"
    assert read_report(tmp_path / "out") == read_report(tmp_path / "out" / "report.json")
    assert read_report(tmp_path / "out").results[0] == report.results[0]
    assert (tmp_path / "out" / "report.md").read_text().startswith("#")
    assert "<html" in (tmp_path / "out" / "report.html").read_text()
    assert told[0].startswith("[1/2] one: dense ndcg_at_10 ")
    assert told[-1].startswith("cache of vectors: ")


def test_finished_tasks_are_not_measured_again(tmp_path, beir_folder) -> None:
    out, suite = tmp_path / "out", suite_of(entry("one"), entry("two", split="test"))
    first, _ = run(suite, Subject(encoder=HashEncoder()), out, tmp_path, use_cache=False)
    encoder = HashEncoder()
    again, told = run(suite, Subject(encoder=encoder), out, tmp_path, use_cache=False)
    assert encoder.num_asked == 0
    assert again.results == read_report(out).results
    assert [r.metrics for r in again.results] == [r.metrics for r in first.results]
    assert all("measured before" in line for line in told)
    changes = [
        (suite, HashEncoder(salt="x"), {}),
        (suite, HashEncoder(), {"seed": 5}),
        (suite, HashEncoder(), {"again": True}),
        (suite, HashEncoder(), {"retrieval": RetrievalConfig(top_k=3)}),
        (suite_of(entry("one", max_queries=1), entry("two")), HashEncoder(), {}),
    ]
    for changed, encoder, options in changes:
        run(changed, Subject(encoder=encoder), out, tmp_path, use_cache=False, **options)
        assert encoder.num_asked > 0


def test_changed_data_is_measured_again(tmp_path, beir_folder) -> None:
    out, suite = tmp_path / "out", suite_of(entry("one", modes=["dense"]))
    run(suite, Subject(encoder=HashEncoder()), out, tmp_path, use_cache=False)
    with (beir_folder / "corpus.jsonl").open("a") as stream:
        stream.write(json.dumps({"_id": "d9", "title": "", "text": "the moon"}) + "\n")
    encoder = HashEncoder()
    report, _ = run(suite, Subject(encoder=encoder), out, tmp_path, use_cache=False)
    assert encoder.num_asked == 9
    assert report.results[0].facts["num_documents"] == 6


def test_a_failing_task_stops_no_other(tmp_path, beir_folder) -> None:
    write_folder(tmp_path / "bad", {"d1": ("", "not a nan here")}, {"q": "x"}, {"q": {"d1": 1}})
    write_folder(tmp_path / "empty", {}, {"q": "x"}, {"q": {"d1": 1}})
    unknown = write_folder(tmp_path / "unknown", {"d1": ("", "x")}, {"q": "x"}, {"q": {"d7": 1}})
    twice = shutil.copytree(unknown, tmp_path / "twice")
    (twice / "corpus.jsonl").write_text('{"_id": "d1", "text": "x"}\n' * 2)
    suite = suite_of(
        entry("nan", "bad"),
        entry("missing", "nowhere"),
        entry("empty", "empty"),
        entry("unknown", "unknown"),
        entry("twice", "twice"),
        entry("good"),
    )
    out = tmp_path / "out"
    report, told = run(suite, Subject(encoder=NanEncoder()), out, tmp_path)
    errors = {failure.task: failure.error for failure in report.failures}
    assert list(errors) == ["nan", "missing", "empty", "unknown", "twice"]
    assert "not a nan here" in errors["nan"]
    assert f"{tmp_path / 'nowhere'} is not there" in errors["missing"]
    assert "MGTE_DATA" in errors["missing"]
    assert "the file is empty" in errors["empty"]
    assert "d7" in errors["unknown"]
    assert "`d1` stands twice" in errors["twice"]
    assert {result.task for result in report.results} == {"good"}
    assert sum("failed" in line for line in told) == 5
    assert [file.name.rpartition("-")[0] for file in (out / "tasks").iterdir()] == ["good"]


def test_an_interruption_keeps_what_is_done(tmp_path, beir_folder) -> None:
    class Interrupted(HashEncoder):
        def encode(self, texts, *, role, sparse=False):
            if "stop" in texts:
                raise KeyboardInterrupt
            return super().encode(texts, role=role, sparse=sparse)

    write_folder(tmp_path / "second", {"d1": ("", "stop")}, {"q": "x"}, {"q": {"d1": 1}})
    suite = suite_of(entry("one", modes=["dense"]), entry("two", "second"), entry("three"))
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run(suite, Subject(encoder=Interrupted()), out, tmp_path)
    assert {result.task for result in read_report(out).results} == {"one"}
    encoder = HashEncoder()
    report, told = run(suite, Subject(encoder=encoder), out, tmp_path)
    assert [result.task for result in report.results if result.variant == "dense"] == [
        "one",
        "two",
        "three",
    ]
    assert "measured before" in told[0]


def test_modes_beyond_a_model_are_left_out_or_refused(tmp_path, beir_folder) -> None:
    dense = Subject(encoder=HashEncoder(has_sparse=False))
    suite = suite_of(entry("one"), modes=["dense", "sparse"])
    report, _ = run(suite, dense, tmp_path / "a", tmp_path)
    assert [result.variant for result in report.results] == ["dense"]
    report, _ = run(suite, dense, tmp_path / "b", tmp_path, modes=("sparse",))
    assert "possible here: dense, bm25" in report.failures[0].error
    with pytest.raises(ConfigError, match=r"settings\.modes: got 'best'"):
        run(suite_of(entry("one"), modes=["best"]), dense, tmp_path / "c", tmp_path)
    report, _ = run(suite, Subject(reranker=WordScorer()), tmp_path / "d", tmp_path)
    assert "possible here: reranked, bm25" in report.failures[0].error


def test_a_reranker_alone_reranks_what_bm25_finds(tmp_path, beir_folder) -> None:
    suite = suite_of(entry("one"))
    report, _ = run(suite, Subject(reranker=WordScorer()), tmp_path / "a", tmp_path)
    alone = {result.variant: result for result in report.results}
    assert list(alone) == ["reranked", "bm25"]
    assert report.model == "words"
    assert report.reranker == ""
    both = Subject(encoder=HashEncoder(), reranker=WordScorer())
    report, _ = run(suite, both, tmp_path / "b", tmp_path)
    beside = {result.variant: result for result in report.results}
    assert alone["bm25"].metrics == beside["bm25"].metrics
    # "the moon and the tide" shares most words with the document that it is about.
    assert alone["reranked"].per_item["q1"] == 1.0


class GlueTask:
    """Gives a fixed number for one task of GLUE."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, subject, context) -> list[TaskResult]:
        if self.name == "broken":
            raise DataError("broken: no data")
        wanted = next(task for task in GLUE_TASKS if task.task == self.name)
        return [
            TaskResult(
                task=self.name,
                kind="fine_tuning",
                main_metric=wanted.metric,
                metrics={wanted.metric: 0.75},
                num_items=1,
                subset=wanted.subset or "",
                facts={"profile": "paper"},
            )
        ]


def test_the_average_of_a_benchmark_stands_beside_the_published_one(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("mgte.evaluate.suite_run.build_task", lambda e, root: GlueTask(e["name"]))
    suite = read_suite("glue")
    subject = Subject(encoder=HashEncoder(name="gte-multilingual-mlm-base"))
    report, told = run(suite, subject, tmp_path / "out", tmp_path)
    assert report.failures == ()
    average = report.results[-1]
    assert (average.task, average.kind, average.main) == ("glue-average", "average", 0.75)
    assert told[-1] == "glue-average: average 0.7500"
    row = report_rows(report)[-1]
    assert (row.kind, row.published.value) == ("average", 0.8347)
    assert row.difference == pytest.approx(0.75 - 0.8347)
    fewer, _ = run(suite.only(["CoLA"]), subject, tmp_path / "fewer", tmp_path)
    assert [result.task for result in fewer.results] == ["CoLA"]
    tasks = [
        {**entry, "name": "broken"} if entry["name"] == "QQP" else entry for entry in suite.tasks
    ]
    broken, _ = run(replace(suite, tasks=tuple(tasks)), subject, tmp_path / "broken", tmp_path)
    assert [failure.task for failure in broken.failures] == ["broken", "glue-average"]
    assert "no result of 'QQP', expected all of 8" in broken.failures[1].error


def test_a_wrong_record_is_told_before_anything_is_measured(tmp_path, beir_folder) -> None:
    encoder = HashEncoder()
    for fields, message in (
        ({"colour": "red"}, "two.colour: unknown key"),
        ({"max_queries": -1}, "two.max_queries: got -1, expected 0"),
    ):
        suite = suite_of(entry("one"), entry("two", **fields))
        with pytest.raises(ConfigError, match=message):
            run(suite, Subject(encoder=encoder), tmp_path / "out", tmp_path)
    assert encoder.num_asked == 0
    with pytest.raises(OSError, match="Not a directory"):
        run(
            suite_of(entry("one")),
            Subject(encoder=encoder),
            beir_folder / "corpus.jsonl" / "x",
            tmp_path,
        )
    assert encoder.num_asked == 0


def test_measuring_some_tasks_keeps_the_others(tmp_path, beir_folder) -> None:
    out, subject = tmp_path / "out", Subject(encoder=HashEncoder())
    suite = suite_of(entry("one"), entry("two"), entry("three"))
    part, _ = run(suite, subject, out, tmp_path, tasks=("two",), modes=("dense",))
    assert [result.task for result in part.results] == ["two"]
    assert part.missing == ("one", "three")
    whole, told = run(suite, subject, out, tmp_path, modes=("dense",))
    assert [result.task for result in whole.results] == ["one", "two", "three"]
    assert whole.missing == ()
    # Other settings have results of their own, and lose none.
    other, _ = run(suite, subject, out, tmp_path, tasks=("two",), modes=("bm25",))
    assert [result.variant for result in other.results] == ["bm25"]
    assert other.missing == ("one", "three")
    again, told = run(suite, subject, out, tmp_path, tasks=("two",), modes=("dense",))
    assert [result.task for result in again.results] == ["one", "two", "three"]
    assert "measured before" in told[0]


def test_a_line_tells_metrics_apart_and_what_was_cut() -> None:
    def made(variant, metric, value, **facts):
        return TaskResult(
            task="t",
            kind="efficiency",
            main_metric=metric,
            metrics={metric: value},
            num_items=1,
            variant=variant,
            facts=facts,
        )

    results = [
        made("packed", "tokens_per_second", 5000.0),
        made("packed", "tokens_per_second", 6000.0),
        made("packed", "gigabytes", 0.5),
    ]
    assert summary(results) == "packed tokens_per_second 5,500.0, packed gigabytes 0.5000"
    cut = {"num_texts": 10, "num_truncated": 3}
    parts = [made("", "ap", 0.5, **cut), made("", "ap", 0.7, **cut)]
    assert summary(parts) == "ap 0.6000 [6 of 20 texts cut]"
