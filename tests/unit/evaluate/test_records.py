"""Reports: what is written is what is read."""

import json
from pathlib import Path

import pytest

from mgte.errors import ConfigError, DataError
from mgte.evaluate.records import (
    Failure,
    Report,
    TaskResult,
    WorstItem,
    read_report,
    write_report,
)

RESULT = TaskResult(
    task="scifact",
    kind="retrieval",
    main_metric="ndcg_at_10",
    metrics={"ndcg_at_10": 0.5, "map": 0.25},
    num_items=2,
    variant="dense@256",
    interval=(0.4, 0.6),
    per_item={"1": 1.0, "2": 0.0},
    worst=(WorstItem(item_id="2", value=0.0, text="où?", expected="ici"),),
    facts={"num_documents": 3, "names": ["a"]},
    settings={"top_k": 10},
    seconds={"embed": 0.5},
    dataset_hash="ab",
)


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    report = Report(model="m", results=(RESULT,), failures=(Failure(task="x", error="not there"),))
    write_report(report, tmp_path / "report.json")
    assert read_report(tmp_path) == read_report(tmp_path / "report.json") == report
    found = read_report(tmp_path).results[0]
    assert found.main == 0.5
    assert found.per_item == RESULT.per_item
    assert found.worst == RESULT.worst


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("{", DataError, "is no JSON"),
        ("[]", DataError, "got format version None, expected 1"),
        ('{"format_version": 7}', DataError, "got format version 7, expected 1"),
        (json.dumps({"format_version": 1, "model": 3}), ConfigError, "model: got 3"),
        (json.dumps({"format_version": 1, "model": "m", "machine": 1}), ConfigError, "a mapping"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path: Path, content, error, message) -> None:
    (tmp_path / "report.json").write_text(content)
    with pytest.raises(error, match=message):
        read_report(tmp_path)


def test_a_missing_report_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"report\.json: cannot be read"):
        read_report(tmp_path)
