"""Clustering: v-measure beside a literal one, samples, worst texts."""

import math
from collections import Counter

import numpy as np
import pytest
from tests.unit.evaluate.fake_encoders import HashEncoder
from tests.unit.evaluate.text_folders import class_texts, write_jsonl

from mgte.config import from_dict
from mgte.errors import ConfigError, DataError
from mgte.evaluate.subjects import Subject
from mgte.evaluate.tasks.clustering import (
    Clustering,
    ClusteringConfig,
    ClusteringTask,
    agreement,
)
from mgte.evaluate.tasks.task import TaskContext


class WordEncoder(HashEncoder):
    """Vectors of the first word alone."""

    def vector(self, words, role) -> np.ndarray:
        return super().vector(words[:1], role)


def make_task(folder, **settings) -> ClusteringTask:
    entry = {"name": "kinds", "data": {"path": "texts.jsonl"}, "sample_size": 60} | settings
    return ClusteringTask(from_dict(ClusteringConfig, entry), folder)


def write_texts(folder, texts):
    write_jsonl(folder / "texts.jsonl", [{"text": t, "label": label} for t, label in texts])


def literal_v_measure(labels, clusters):
    """Harmonic mean of homogeneity and completeness, from counts."""
    count = len(labels)

    def entropy(values):
        return -sum(n / count * math.log(n / count) for n in Counter(values).values())

    def given(values, others):
        sizes = Counter(others)
        pairs = Counter(zip(values, others, strict=True))
        return -sum(n / count * math.log(n / sizes[o]) for (_, o), n in pairs.items())

    homogeneity = 1 - given(labels, clusters) / entropy(labels)
    completeness = 1 - given(clusters, labels) / entropy(clusters)
    return 2 * homogeneity * completeness / (homogeneity + completeness)


def test_v_measure_is_the_literal_one():
    random = np.random.default_rng(0)
    labels, rows = random.integers(0, 3, 40), random.integers(0, 40, 200)
    clusters = (labels[rows] + (random.random(200) < 0.3)) % 3
    found = agreement([Clustering(rows=rows, clusters=clusters)], labels)
    expected = literal_v_measure(labels[rows].tolist(), clusters.tolist())
    assert found["v_measure"][0] == pytest.approx(expected)


def test_clear_classes_are_found(tmp_path):
    write_texts(tmp_path, [(f"{label} x", label) for _, label in class_texts(80, 0)])
    (result,) = make_task(tmp_path).run(Subject(encoder=WordEncoder()), TaskContext())
    assert result.main == result.metrics["v_measure"] > 0.7
    assert result.num_items == 80 and result.facts["num_classes"] == 3


def test_samples_are_the_items_and_follow_the_seed(tmp_path):
    write_texts(tmp_path, class_texts(80, 0))
    subject = Subject(encoder=HashEncoder())
    result, again = (make_task(tmp_path).run(subject, TaskContext())[0] for _ in range(2))
    assert len(result.per_item) == 10
    assert np.mean(list(result.per_item.values())) == pytest.approx(result.main)
    assert np.std(list(result.per_item.values())) == pytest.approx(result.metrics["v_measure_std"])
    assert result.per_item == again.per_item
    assert make_task(tmp_path).run(subject, TaskContext(seed=1))[0].per_item != result.per_item


def test_limit_embeds_fewer_texts(tmp_path):
    write_texts(tmp_path, class_texts(80, 0))
    encoder = HashEncoder()
    task = make_task(tmp_path, data={"path": "texts.jsonl", "max_items": 20})
    (result,) = task.run(Subject(encoder=encoder), TaskContext())
    assert result.num_items == result.facts["num_texts"] == 20 and encoder.num_asked <= 20


def test_worst_text_lies_among_another_class(tmp_path):
    texts = [(f"{label} x", label) for _, label in class_texts(80, 0, ("animal", "tool"))]
    write_texts(tmp_path, [*texts, ("animal y", "tool")])
    (result,) = make_task(tmp_path).run(Subject(encoder=WordEncoder()), TaskContext())
    worst = result.worst[0]
    assert (worst.item_id, worst.expected, worst.found) == ("81", "tool", "among animal")
    assert worst.value < 0.2 < result.worst[1].value


def test_wrong_data_and_settings(tmp_path):
    write_texts(tmp_path, [("a", "x"), ("b", "x")])
    with pytest.raises(DataError, match="got x alone, expected at least two classes"):
        make_task(tmp_path).run(Subject(encoder=HashEncoder()), TaskContext())
    with pytest.raises(ConfigError, match="sample_size: got 0"):
        make_task(tmp_path, sample_size=0)
