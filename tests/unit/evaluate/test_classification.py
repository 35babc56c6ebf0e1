"""Classification: samples, metrics and protocol; each text's own share; bad data."""

import numpy as np
import pytest
from tests.unit.evaluate.fake_encoders import HashEncoder
from tests.unit.evaluate.text_folders import class_texts, write_jsonl

from mgte.config import from_dict
from mgte.errors import ConfigError, DataError
from mgte.evaluate.subjects import Subject
from mgte.evaluate.tasks.classification import (
    ClassificationConfig,
    ClassificationTask,
    class_metrics,
    draw_samples,
)
from mgte.evaluate.tasks.task import TaskContext

SUBJECT = Subject(encoder=HashEncoder(width=16))


def make_task(folder, **settings) -> ClassificationTask:
    entry = {"name": "kinds", "data": {"path": "{split}.jsonl"}} | settings
    return ClassificationTask(from_dict(ClassificationConfig, entry), folder)


def write_split(folder, split, texts):
    write_jsonl(folder / f"{split}.jsonl", [{"text": t, "label": label} for t, label in texts])


@pytest.fixture
def folder(tmp_path):
    write_split(tmp_path, "train", class_texts(80, seed=1))
    write_split(tmp_path, "test", class_texts(50, seed=2))
    return tmp_path


def test_every_experiment_learns_from_other_texts_of_every_class():
    labels = [row % 3 for row in range(60)]
    samples = draw_samples(labels, 4, 5, seed=1)
    assert len(samples) == 5 and len({tuple(sorted(rows)) for rows in samples}) == 5
    for rows in samples:
        assert np.bincount([labels[row] for row in rows]).tolist() == [4, 4, 4]
    assert samples == draw_samples(labels, 4, 5, seed=1) != draw_samples(labels, 4, 5, seed=2)
    assert sorted(draw_samples([0, 0, 1], 8, 1, seed=0)[0]) == [0, 1, 2]


def test_metrics_are_the_literal_ones():
    expected, predicted = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 0, 1, 1, 0])
    f1 = {0: 2 * 2 / (3 + 3), 1: 2 * 2 / (3 + 3)}
    # Average precision of predicted classes: of four texts above, two of three are right.
    literal = {
        "accuracy": 4 / 6,
        "f1": (f1[0] + f1[1]) / 2,
        "f1_weighted": (3 * f1[0] + 3 * f1[1]) / 6,
        "ap": (2 / 3) * (2 / 3) + (1 / 3) * (3 / 6),
    }
    assert class_metrics(expected, predicted) == pytest.approx(literal)
    assert "ap" not in class_metrics(np.array([0, 1, 2]), np.array([0, 1, 1]))
    assert "ap" not in class_metrics(np.array([1, 2, 2]), np.array([2, 1, 1]))


def test_result_is_the_mean_over_experiments_and_over_texts(folder):
    (result,) = make_task(folder).run(SUBJECT, TaskContext())
    by_experiment = result.facts["accuracy_by_experiment"]
    assert result.main == result.metrics["accuracy"] == pytest.approx(np.mean(by_experiment))
    assert len(by_experiment) == 10 and len(result.per_item) == result.num_items == 50
    assert np.mean(list(result.per_item.values())) == pytest.approx(result.main)
    assert result.interval[0] <= result.main <= result.interval[1]
    assert result.main > result.facts["majority"] + 0.3
    assert (result.facts["num_classes"], result.facts["num_train"]) == (3, 80)
    worst = result.worst[0]
    assert worst.value == min(result.per_item.values()) and worst.expected != ""
    assert make_task(folder).run(SUBJECT, TaskContext())[0].metrics == result.metrics
    assert make_task(folder).run(SUBJECT, TaskContext(seed=1))[0].metrics != result.metrics


def test_two_classes_have_an_average_precision_of_the_last_one(tmp_path):
    for split, seed in (("train", 1), ("test", 2)):
        write_split(tmp_path, split, class_texts(40, seed, labels=("animal", "tool")))
    (forth,) = make_task(tmp_path).run(SUBJECT, TaskContext())
    (back,) = make_task(tmp_path, labels=["tool", "animal"]).run(SUBJECT, TaskContext())
    assert forth.metrics["accuracy"] == pytest.approx(back.metrics["accuracy"])
    assert 0.5 < forth.metrics["ap"] <= 1.0 and forth.metrics["ap"] != back.metrics["ap"]


def test_without_a_train_split_both_parts_come_from_one(folder):
    task = make_task(folder, train_split="", train_share=0.6, data={"path": "train.jsonl"})
    (result,) = task.run(SUBJECT, TaskContext())
    assert (result.facts["num_train"], result.num_items) == (48, 32)
    assert result.dataset_hash == task.run(SUBJECT, TaskContext())[0].dataset_hash
    assert result.dataset_hash != task.run(SUBJECT, TaskContext(seed=1))[0].dataset_hash


def test_only_texts_that_are_used_are_embedded(folder):
    encoder = HashEncoder()
    task = make_task(folder, samples_per_label=2, n_experiments=1)
    task.run(Subject(encoder=encoder), TaskContext())
    num_test = len({text for text, _ in class_texts(50, seed=2)})
    assert encoder.num_asked <= 6 + num_test


@pytest.mark.parametrize(
    ("train", "test", "settings", "message"),
    [
        ([("a", "x"), ("b", "y")], [("c", "z")], {}, "label 'z' stands in the test part alone"),
        ([("a", "x")], [("c", "x")], {}, "got x alone, expected at least two classes"),
        ([("a", "x")], [("c", "y")], {"labels": ["x", "z"]}, "is 'y', expected one of x, z"),
    ],
)
def test_wrong_labels_are_named(tmp_path, train, test, settings, message):
    write_split(tmp_path, "train", train)
    write_split(tmp_path, "test", test)
    with pytest.raises(DataError, match=message):
        make_task(tmp_path, **settings).run(SUBJECT, TaskContext())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_experiments": 0}, "n_experiments: got 0, expected at least 1"),
        ({"train_share": 1.0}, "train_share: got 1.0"),
        ({"train_split": "test"}, "train_split: got 'test', which is measured too"),
        ({"kind": "sts"}, "kind: got 'sts'"),
    ],
)
def test_wrong_settings_are_refused(tmp_path, settings, message):
    with pytest.raises(ConfigError, match=message):
        make_task(tmp_path, **settings)
