"""Pair classification: average precision and thresholds beside literal ones."""

import numpy as np
import pytest
from tests.unit.evaluate.fake_encoders import HashEncoder
from tests.unit.evaluate.text_folders import scored_rows, write_jsonl

from mgte.config import from_dict
from mgte.errors import ConfigError, DataError
from mgte.evaluate.subjects import Subject
from mgte.evaluate.tasks.pair_classification import (
    PairClassificationConfig,
    PairClassificationTask,
)
from mgte.evaluate.tasks.similarities import (
    average_precision_pulls,
    paired_similarities,
    threshold_metrics,
)
from mgte.evaluate.tasks.task import TaskContext


def make_task(folder, **settings) -> PairClassificationTask:
    entry = {"name": "pairs", "data": {"path": "pairs.jsonl"}} | settings
    return PairClassificationTask(from_dict(PairClassificationConfig, entry), folder)


def labelled_rows(count, seed=0):
    rows = scored_rows(count, seed)
    return [row | {"label": int(row["score"] > 2)} for row in rows]


def literal_thresholds(values, is_positive):
    """Every threshold between two different values, tried one by one."""
    found = {"accuracy": 0.0, "f1": 0.0}
    levels = sorted(set(values.tolist()), reverse=True)
    for low in levels[:-1]:
        taken = values >= low
        hits = (taken & is_positive).sum()
        found["accuracy"] = max(found["accuracy"], float((taken == is_positive).mean()))
        found["f1"] = max(found["f1"], float(2 * hits / (taken.sum() + is_positive.sum())))
    return found


def literal_average_precision(values, is_positive):
    return float(np.mean([is_positive[values >= v].mean() for v in values[is_positive]]))


@pytest.mark.parametrize("digits", [1, 8])
def test_thresholds_and_average_precision_are_the_literal_ones(digits):
    random = np.random.default_rng(digits)
    for count in (2, 3, 40):
        is_positive = np.arange(count) % 3 == 0
        values = np.round(random.normal(size=count) + is_positive, digits)
        found = threshold_metrics(values, is_positive)
        expected = literal_thresholds(values, is_positive)
        assert {name: found[name] for name in expected} == pytest.approx(expected)
        assert found["ap"] == pytest.approx(literal_average_precision(values, is_positive))
        pulls = average_precision_pulls(values, is_positive)
        assert pulls.mean() == pytest.approx(found["ap"], abs=1e-12)


def test_equal_similarities_cannot_be_parted():
    is_positive = np.array([True, True, False, False])
    found = threshold_metrics(np.full(4, 0.5), is_positive)
    assert found == {"ap": 0.5, "accuracy": 0.0, "f1": 0.0, "precision": 0.0, "recall": 0.0}
    assert average_precision_pulls(np.full(4, 0.5), is_positive).mean() == pytest.approx(0.5)


def test_pulls_are_what_one_pair_changes():
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(2)
    is_positive = random.random(30) < 0.4
    values = np.round(random.normal(size=30) + is_positive, 1)
    pulls = average_precision_pulls(values, is_positive)
    mean = metrics.average_precision_score(is_positive, values)
    for row in range(30):
        weights = np.ones(30)
        weights[row] += 1e-6
        changed = metrics.average_precision_score(is_positive, values, sample_weight=weights)
        assert pulls[row] == pytest.approx(mean + 30 * (changed - mean) / 1e-6, abs=1e-3)


def test_similarities_are_the_literal_ones():
    first, second = np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32)
    found = paired_similarities(first, second)
    for row, (a, b) in enumerate(zip(first.astype(float), second.astype(float), strict=True)):
        literal = {
            "cosine": a @ b / np.sqrt((a @ a) * (b @ b)),
            "dot": a @ b,
            "manhattan": -np.abs(a - b).sum(),
            "euclidean": -np.sqrt(((a - b) ** 2).sum()),
        }
        assert {name: values[row] for name, values in found.items()} == pytest.approx(
            literal, abs=1e-5
        )


def test_result_holds_every_similarity_and_the_worst_pairs(tmp_path):
    rows = labelled_rows(60)
    rows += [{"sentence1": "cat dog", "sentence2": "cat dog", "label": 0}]
    rows += [{"sentence1": "cat hen", "sentence2": "saw axe", "label": 1}]
    write_jsonl(tmp_path / "pairs.jsonl", rows)
    subject = Subject(encoder=HashEncoder())
    (result,) = make_task(tmp_path).run(subject, TaskContext())
    assert result.main == result.metrics["cosine_ap"] <= result.metrics["max_ap"]
    assert result.main > result.facts["positive_share"] + 0.1
    assert len(result.per_item) == result.num_items == 62
    assert np.mean(list(result.per_item.values())) == pytest.approx(result.main, abs=1e-12)
    low, high = result.interval
    assert low < result.main < high
    by_id = {item.item_id: item for item in result.worst}
    assert by_id["61"].expected == "label 0" and "above" in by_id["61"].found
    assert by_id["62"].expected == "label 1" and "below" in by_id["62"].found


def test_wrong_labels_are_refused(tmp_path):
    write_jsonl(tmp_path / "pairs.jsonl", [*labelled_rows(5), {"sentence1": "a", "label": 2}])
    with pytest.raises(DataError, match=r"pairs.jsonl:6: field `label` is '2', expected one of 1"):
        make_task(tmp_path).run(Subject(encoder=HashEncoder()), TaskContext())
    with pytest.raises(ConfigError, match="positive: got a label that is negative"):
        make_task(tmp_path, positive=["0"])
    with pytest.raises(ConfigError, match="positive: got no positive"):
        make_task(tmp_path, positive=[])
