"""The local suite runs as a whole on the real data, whatever the model."""

import pytest
from tests.unit.evaluate.fake_encoders import HashEncoder

from mgte.evaluate.subjects import Subject
from mgte.evaluate.suite import read_suite
from mgte.evaluate.suite_run import RunOptions, run_suite


@pytest.mark.slow
def test_every_task_of_the_local_suite_runs(shared, tmp_path) -> None:
    root = shared / "data"
    if not (root / "scifact_beir").is_dir():
        pytest.skip("no data in the shared folder")
    suite = read_suite("local")
    options = RunOptions(use_cache=False, show_progress=False)
    subject = Subject(encoder=HashEncoder())
    report = run_suite(suite, subject, tmp_path, root=root, options=options)
    assert report.failures == ()
    assert {result.task for result in report.results} == {*suite.task_names}
    bm25 = {r.task: r.main for r in report.results if r.variant == "bm25"}
    # Source: BEIR and Anserini give 0.665 to 0.679 for SciFact.
    assert bm25["scifact"] == pytest.approx(0.672, abs=0.0171)
    for result in report.results:
        assert result.dataset_hash
        assert result.interval is not None
        assert result.interval[0] <= result.main <= result.interval[1]
        assert len(result.per_item) == result.num_items or result.kind in (
            "classification",
            "clustering",
            "pair_classification",
        )
        assert result.language
    asked = subject.encoder.num_asked
    again = run_suite(suite, subject, tmp_path, root=root, options=options)
    assert subject.encoder.num_asked == asked
    assert [r.metrics for r in again.results] == [r.metrics for r in report.results]
