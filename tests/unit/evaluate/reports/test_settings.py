"""Settings stand in reports once, under one name, and only where they change a number."""

from dataclasses import asdict

from mgte.evaluate.records import Report
from mgte.evaluate.reports.settings import effective_settings, own_settings, shared_settings
from mgte.evaluate.retrieval_config import RetrievalConfig


def searched(make_result, task="adi", config=None, **fields):
    told = asdict(config or RetrievalConfig(first_stage="hybrid"))
    asked = {"name": task, "kind": "retrieval", "modes": [], "max_queries": 0, "retrieval": {}}
    settings = {**told, "model": "m", "reranker": None, "max_length": 512, "task": asked}
    return make_result(task, settings=settings, **fields)


def report_of(*results, **changed):
    settings = {"seed": 0, "max_length": 512, "retrieval": asdict(RetrievalConfig(**changed))}
    return Report(model="m", settings=settings, results=results)


def test_every_setting_is_told_once(make_result):
    shared = shared_settings(report_of(searched(make_result), searched(make_result, "cran")))
    names = [path.rpartition(".")[2] for path in shared]
    assert len(names) == len(set(names))
    assert shared["retrieval.top_k"] == "1000"
    assert shared["retrieval.hybrid.sparse_weight"] == "0.1"
    assert shared["retrieval.first_stage"] == "hybrid"
    assert shared["task.max_queries"] == "all"
    assert "model" not in shared


def test_what_changes_no_number_is_told_where_somebody_chose_it(make_result):
    quiet = {"documents_per_part", "max_tokens_per_batch", "show_progress"}
    plain = shared_settings(report_of(searched(make_result)))
    assert not {path for path in plain if path.rpartition(".")[2] in quiet}
    chosen = RetrievalConfig(documents_per_part=1000)
    told = shared_settings(report_of(searched(make_result, config=chosen), documents_per_part=1000))
    assert told["retrieval.documents_per_part"] == "1000"


def test_a_result_tells_what_differs_from_its_report(make_result):
    usual = searched(make_result)
    changed = searched(make_result, "cran", RetrievalConfig(first_stage="hybrid", dim=64))
    shared = shared_settings(report_of(usual, changed))
    assert own_settings(usual, shared) == {}
    assert own_settings(changed, shared) == {"retrieval.dim": "64"}


def test_settings_of_searches_concern_no_other_tasks(make_result):
    result = make_result("sick-r", "", kind="sts", settings={"data": {"max_items": 0}})
    report = report_of(result)
    assert effective_settings(result, report) == {
        "seed": "0",
        "max_length": "512",
        "data.max_items": "all",
    }
    found = effective_settings(searched(make_result), report_of(top_k=5))
    # Its own value counts, not what the suite asked of others.
    assert found["retrieval.top_k"] == "1000"
    assert found["retrieval.dim"] == ""
