"""A task that mteb runs gives the numbers that we measure ourselves, and its results are kept."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mgte.errors import ConfigError, DataError
from mgte.evaluate.collection import read_collection
from mgte.evaluate.retrieval import evaluate_retrieval
from mgte.evaluate.retrieval_config import HybridConfig, RetrievalConfig
from mgte.evaluate.subjects import EmbedderSubject, RerankerSubject, Subject
from mgte.evaluate.suite import Suite, build_task, read_suite
from mgte.evaluate.suite_run import RunOptions, run_suite
from mgte.evaluate.tasks import TaskContext
from mgte.inference import Embedder, Reranker

pytest.importorskip("mteb")

import mteb
from mteb.abstasks.aggregate_task_metadata import AggregateTaskMetadata
from mteb.abstasks.aggregated_task import AbsTaskAggregate
from mteb.benchmarks import _benchmark_metrics
from mteb.mocks import MOCK_TASK_TEST_GRID_MONOLINGUAL
from tests.unit.evaluate.fake_encoders import HashEncoder
from tests.unit.evaluate.mteb_tasks import FOREIGN_WARNINGS, retrieval_task, sts_task

from mgte.evaluate.mteb import benchmark_averages, benchmark_tasks, mteb_model
from mgte.evaluate.tasks.mteb_task import MtebTask, MtebTaskConfig, single_mteb_task
from mgte.evaluate.tasks.sts import StsConfig, StsTask

pytestmark = [pytest.mark.filterwarnings(warning) for warning in FOREIGN_WARNINGS]
SUITES = ("mteb-en", "mteb-en-v2", "mteb-fr", "mteb-multilingual", "mteb-pl", "mteb-zh")
TEXTS = ("the moon and the tide", "the moon", "bread and water", "a map to read", "plant light")
PAIRS = [(a, b, 5.0 * (i + 2 * j) / 12) for i, a in enumerate(TEXTS) for j, b in enumerate(TEXTS)]


@pytest.fixture
def register(monkeypatch):
    """Let mteb find a local task by name."""
    registry = __import__("mteb.get_tasks", fromlist=["x"])._TASKS_REGISTRY

    def register(kind):
        monkeypatch.setitem(registry, kind.metadata.name, kind)
        return kind

    return register


@pytest.fixture
def subject(hybrid_folder, reranker_folder) -> Subject:
    encoder = EmbedderSubject(Embedder.load(str(hybrid_folder)))
    reranker = RerankerSubject(Reranker.load(str(reranker_folder)))
    return Subject(encoder=encoder, reranker=reranker, folder=Path(hybrid_folder))


@pytest.fixture
def context(tmp_path) -> TaskContext:
    hybrid = HybridConfig(sparse_weight=0.3)
    return TaskContext(
        cache_folder=tmp_path / "cache",
        retrieval=RetrievalConfig(hybrid=hybrid, rerank_depth=3),
        modes=("dense", "sparse", "hybrid", "reranked"),
    )


def run(config: MtebTaskConfig, subject: Subject, context: TaskContext):
    return MtebTask(config, Path()).run(subject, context)


def test_retrieval_equals_our_own_in_every_way(register, beir_folder, subject, context) -> None:
    collection = read_collection(beir_folder, own_documents="none")
    register(retrieval_task(collection))
    results = run(MtebTaskConfig(name="LocalRetrieval"), subject, context)
    own = evaluate_retrieval(
        subject.encoder.embedder,
        collection,
        reranker=subject.reranker.reranker,
        config=context.retrieval,
    )
    assert [result.variant for result in results] == list(own.modes)
    for result in results:
        assert (result.kind, result.main_metric) == ("retrieval", "ndcg_at_10")
        assert result.num_items == len(collection.queries)
        metrics = own.modes[result.variant].metrics
        assert result.main == pytest.approx(metrics["ndcg_at_10"], abs=1e-5)
        assert result.metrics["recall_at_100"] == pytest.approx(metrics["recall_at_100"], abs=1e-5)


def test_reranking_takes_the_candidates(register, beir_folder, subject, context) -> None:
    collection = read_collection(beir_folder)
    candidates = {query.query_id: ["d1", "d3", "d5"] for query in collection.queries}
    register(retrieval_task(collection, "LocalReranking", candidates))
    results = run(MtebTaskConfig(name="LocalReranking"), subject, context)
    assert {result.kind for result in results} == {"reranking"}
    alone = run(MtebTaskConfig(name="LocalReranking"), replace(subject, encoder=None), context)
    assert [result.variant for result in alone] == ["reranked"]
    assert alone[0].main == pytest.approx(results[-1].main, abs=1e-6)


def test_similarity_equals_our_own(register, tmp_path, subject, context) -> None:
    register(sts_task(PAIRS))
    found = run(MtebTaskConfig(name="LocalSTS", type="STS"), subject, context)[0]
    rows = [{"sentence1": a, "sentence2": b, "score": score} for a, b, score in PAIRS]
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    entry = {"kind": "sts", "name": "own", "data": {"path": "test.jsonl"}}
    own = build_task(entry, tmp_path)
    assert isinstance(own, StsTask)
    assert isinstance(own.config, StsConfig)
    expected = own.run(subject, context)[0]
    assert (found.variant, found.kind, found.num_items) == ("", "sts", len(PAIRS))
    assert found.main == pytest.approx(expected.main, abs=1e-6)
    for name in ("cosine_pearson", "manhattan_spearman", "euclidean_pearson"):
        assert found.metrics[name] == pytest.approx(expected.metrics[name], abs=1e-5)


def test_what_was_measured_is_kept_as_json_of_mteb(register, beir_folder, subject, context) -> None:
    kind = register(retrieval_task(read_collection(beir_folder)))
    config = MtebTaskConfig(name="ours", task="LocalRetrieval", type="Retrieval")
    context = replace(context, modes=("dense", "hybrid"))
    first = run(config, subject, context)
    assert kind.num_loads == 1
    again = run(config, subject, context)
    assert kind.num_loads == 1
    assert [result.main for result in again] == pytest.approx([r.main for r in first], abs=1e-6)
    meta = mteb_model(subject).mteb_model_meta
    folder = f"results/{meta.model_name_as_path()}/{meta.revision}"
    files = [
        str(file.relative_to(context.cache_folder)) for file in context.cache_folder.rglob("*")
    ]
    assert any(file.endswith(f"{folder}/LocalRetrieval.json") for file in files)
    assert any("experiments/" in file and file.endswith("LocalRetrieval.json") for file in files)
    assert any(file.endswith(f"{folder}/model_meta.json") for file in files)
    narrow = EmbedderSubject(subject.encoder.embedder, instruction="read")
    run(config, replace(subject, encoder=narrow), context)
    assert kind.num_loads == 2


def test_cut_vectors_are_told_apart(register, beir_folder, subject, context) -> None:
    register(retrieval_task(read_collection(beir_folder)))
    context = replace(context, modes=("dense", "sparse"))
    narrow = replace(context, retrieval=replace(context.retrieval, dim=8))
    config = MtebTaskConfig(name="LocalRetrieval")
    variants = {result.variant: result for result in run(config, subject, narrow)}
    assert list(variants) == ["dense@8", "sparse"]
    collection = read_collection(beir_folder, own_documents="none")
    own = evaluate_retrieval(subject.encoder.embedder, collection, config=narrow.retrieval)
    assert variants["dense@8"].main == pytest.approx(own.metrics["dense"], abs=1e-5)
    whole = run(config, subject, context)[0]
    assert whole.variant == "dense"
    assert whole.metrics != variants["dense@8"].metrics


def test_nothing_is_kept_without_a_folder(register, beir_folder, subject, context) -> None:
    kind = register(retrieval_task(read_collection(beir_folder)))
    context = replace(context, cache_folder=None, modes=())
    for _ in range(2):
        results = run(MtebTaskConfig(name="LocalRetrieval"), subject, context)
        assert [result.variant for result in results] == ["dense", "reranked"]
    assert kind.num_loads == 2


def test_averages_are_those_of_the_leaderboard(subject, monkeypatch) -> None:
    tasks = [task for task in MOCK_TASK_TEST_GRID_MONOLINGUAL if task.metadata.type != "Regression"]
    model = mteb_model(subject)
    found = mteb.evaluate(model, tasks, cache=None, co2_tracker=False, show_progress_bar=False)
    results = {result.task_name: result for result in found.task_results}
    whole, *by_type = benchmark_averages("mock", tasks, results, settings={})
    of_name = {task.metadata.name: task for task in tasks}
    for result in results.values():
        monkeypatch.setitem(result.__dict__, "task", of_name[result.task_name])
    theirs = [results[task.metadata.name] for task in tasks]
    assert whole.main == pytest.approx(_benchmark_metrics._compute_mean_task(theirs))
    mean_type = _benchmark_metrics._compute_mean_task_type(theirs)
    assert whole.metrics["mean_type"] == pytest.approx(mean_type)
    expected = _benchmark_metrics._compute_task_types(theirs)
    assert {record.subset: record.main for record in by_type} == pytest.approx(expected)
    results.pop(tasks[0].metadata.name)
    with pytest.raises(DataError, match=f"there is nothing of {tasks[0].metadata.name}"):
        benchmark_averages("mock", tasks, results, settings={})


def test_averages_find_what_other_tasks_left(register, beir_folder, subject, context) -> None:
    register(retrieval_task(read_collection(beir_folder)))
    register(sts_task(PAIRS))
    entries = [
        {"kind": "mteb", "name": "LocalRetrieval"},
        {"kind": "mteb", "name": "LocalSTS", "type": "STS"},
    ]
    average = {"kind": "mteb", "name": "both", "average": True, "more": entries}
    with pytest.raises(DataError, match="0 of 2 tasks were measured"):
        build_task(average, Path()).run(subject, context)
    values = [build_task(entry, Path()).run(subject, context)[0].main for entry in entries]
    whole, *by_type = build_task(average, Path()).run(subject, context)
    assert whole.main == pytest.approx(np.mean(values), abs=1e-5)
    assert [record.subset for record in by_type] == ["Retrieval", "STS"]


def test_a_suite_runs_and_resumes(register, beir_folder, subject, tmp_path) -> None:
    kind = register(retrieval_task(read_collection(beir_folder)))
    entry = {"kind": "mteb", "name": "LocalRetrieval", "type": "Retrieval"}
    average = {"kind": "mteb", "name": "all", "average": True, "more": [entry]}
    suite = Suite(name="local-mteb", title="Local.", tasks=(entry, average))
    first = run_suite(suite, subject, tmp_path / "out", root=tmp_path)
    assert first.failures == ()
    assert [result.variant for result in first.results] == ["dense", "reranked", "", ""]
    assert (tmp_path / "out" / "report.html").is_file()
    again = run_suite(suite, subject, tmp_path / "out", root=tmp_path)
    assert again.results == first.results
    assert kind.num_loads == 1
    options = RunOptions(again=True)
    anew = run_suite(suite, subject, tmp_path / "out", root=tmp_path, options=options)
    assert [result.main for result in anew.results] == [result.main for result in first.results]
    assert kind.num_loads == 2
    assert [result.kind for result in first.results[2:]] == ["average", "retrieval"]


def test_tasks_made_of_tasks_are_one(register, beir_folder, subject, context) -> None:
    parts = [
        register(retrieval_task(read_collection(beir_folder), name)) for name in ("PartA", "PartB")
    ]

    class Together(AbsTaskAggregate):
        metadata = AggregateTaskMetadata(
            name="Together",
            description="Two parts.",
            tasks=[kind() for kind in parts],
            main_score="ndcg_at_10",
            type="Retrieval",
            eval_splits=["test"],
        )

    register(Together)
    entry = {"kind": "mteb", "name": "Together", "type": "Retrieval"}
    found = build_task(entry, Path()).run(subject, replace(context, modes=("dense",)))
    part = build_task(entry | {"name": "PartA"}, Path()).run(subject, context)
    assert [result.main for result in found] == pytest.approx([part[0].main], abs=1e-6)
    average = {"kind": "mteb", "name": "all", "average": True, "more": [entry]}
    whole, _ = build_task(average, Path()).run(subject, context)
    assert whole.main == pytest.approx(part[0].main, abs=1e-6)


@pytest.mark.parametrize("name", SUITES)
def test_suites_hold_the_tasks_of_their_benchmark(name) -> None:
    suite = read_suite(name)
    entries = [entry for entry in suite.tasks if not entry.get("average")]
    benchmark = next(entry["benchmark"] for entry in entries if "benchmark" in entry)
    official = {task.metadata.name: task for task in benchmark_tasks(benchmark)}
    assert {entry["name"] for entry in entries if "benchmark" in entry} == set(official)
    for entry in entries:
        task = MtebTask(MtebTaskConfig(**entry), Path())._find()
        assert str(task.metadata.type) == entry["type"]
        if "benchmark" in entry:
            assert task.hf_subsets == official[entry["name"]].hf_subsets
            assert task.eval_splits == official[entry["name"]].eval_splits
        else:
            assert list(task.eval_splits) == list(entry["splits"])
    assert str(len(entries)) in suite.title


def test_what_is_not_there_is_named(register, subject, context, dense_folder) -> None:
    with pytest.raises(ConfigError, match="no task 'SciFakt', expected perhaps SciFact"):
        single_mteb_task("mteb:SciFakt")
    with pytest.raises(ConfigError, match=r"no benchmark 'MTEB\(en, v1\)'"):
        run(MtebTaskConfig(name="SciFact", benchmark="MTEB(en, v1)"), subject, context)
    with pytest.raises(ConfigError, match=r"MTEB\(eng, v2\): has no task 'SciFact'"):
        run(MtebTaskConfig(name="SciFact", benchmark="MTEB(eng, v2)"), subject, context)
    with pytest.raises(ConfigError, match="SciFact: split: got 'dev'"):
        run(MtebTaskConfig(name="SciFact", splits=("dev",)), subject, context)
    with pytest.raises(ConfigError, match="STS22: subset: got 'xx'"):
        run(MtebTaskConfig(name="STS22", subsets=("xx",)), subject, context)
    with pytest.raises(ConfigError, match="average: got neither"):
        MtebTaskConfig(name="x", average=True)
    assert single_mteb_task("mteb:STS22").type == "STS"


def test_data_that_cannot_be_loaded_is_an_error_of_ours(
    register, beir_folder, subject, context
) -> None:
    kind = register(retrieval_task(read_collection(beir_folder)))

    def fail(self, **options) -> None:
        raise OSError("cannot reach the hub\nwith many lines")

    kind.load_data = fail
    with pytest.raises(DataError, match=r"LocalRetrieval \(local/LocalRetrieval\) cannot be") as e:
        run(MtebTaskConfig(name="LocalRetrieval"), subject, context)
    assert "many lines" not in e.value.message
    assert "HF_HUB_OFFLINE" in e.value.hint


def test_modes_that_mteb_lacks_are_refused(register, beir_folder, subject, context) -> None:
    register(retrieval_task(read_collection(beir_folder)))
    register(sts_task(PAIRS))
    with pytest.raises(ConfigError, match="got the mode bm25 alone"):
        config = MtebTaskConfig(name="LocalRetrieval")
        run(config, subject, replace(context, modes=("bm25",)))
    with pytest.raises(ConfigError, match="got a reranker alone"):
        run(MtebTaskConfig(name="LocalSTS"), replace(subject, encoder=None), context)


def test_models_without_dense_vectors_are_searched(register, beir_folder, context) -> None:
    collection = read_collection(beir_folder, own_documents="none")
    register(retrieval_task(collection))
    register(sts_task(PAIRS))
    encoder = HashEncoder(has_dense=False, name="splade")
    plain = replace(context, modes=(), retrieval=context.retrieval.changed({"dim": 4}))
    results = run(MtebTaskConfig(name="LocalRetrieval"), Subject(encoder=encoder), plain)
    own = evaluate_retrieval(encoder, collection)
    assert [result.variant for result in results] == list(own.modes) == ["sparse"]
    assert results[0].main == pytest.approx(own.metrics["sparse"], abs=1e-5)
    with pytest.raises(ConfigError, match="LocalSTS: got splade, which has no dense vectors"):
        run(MtebTaskConfig(name="LocalSTS"), Subject(encoder=encoder), plain)


@pytest.mark.parametrize(("name", "count"), [("mteb-fr", 26), ("mteb-pl", 26), ("mteb-zh", 35)])
def test_averages_of_the_first_leaderboard_count_one_split_of_each_task(name, count) -> None:
    [entry] = [entry for entry in read_suite(name).tasks if entry["name"] == name]
    tasks = [MtebTask(MtebTaskConfig(**record), Path())._find() for record in entry["more"]]
    assert len({task.metadata.name for task in tasks}) == len(tasks) == count
    assert {len(task.eval_splits) for task in tasks} == {1}
    assert {len(task.hf_subsets) for task in tasks} == {1}
