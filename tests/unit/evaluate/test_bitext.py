"""Bitext mining: metrics beside literal ones and scikit-learn's, both ways, worst sentences."""

import numpy as np
import pytest
from tests.unit.evaluate.fake_encoders import HashEncoder

from mgte.config import from_dict
from mgte.errors import ConfigError, DataError
from mgte.evaluate.subjects import Subject
from mgte.evaluate.tasks.bitext import BitextConfig, BitextTask, match_values, nearest
from mgte.evaluate.tasks.task import TaskContext

SOURCES = ("cat dog", "cow hen", "saw axe", "red soup", "old rice")
TARGETS = ("cat big", "cow my", "saw new", "one corn", "old rice bread")


def make_task(folder, **settings) -> BitextTask:
    data = {"lines": {"source": "{subset}.txt", "target": "en.txt"}, "subsets": {"de": "de-en"}}
    return BitextTask(from_dict(BitextConfig, {"name": "mine", "data": data} | settings), folder)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "de.txt").write_text("\n".join(SOURCES) + "\n")
    (tmp_path / "en.txt").write_text("\n".join(TARGETS) + "\n")
    return tmp_path


def test_values_are_scikit_learns_weighted_averages():
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(0)
    own = np.arange(50)
    found = np.where(random.random(50) < 0.6, own, random.integers(0, 50, 50))
    values = match_values(found)
    options = {"average": "weighted", "zero_division": 0}
    assert values["accuracy"].mean() == pytest.approx((found == own).mean())
    assert values["precision"].mean() == pytest.approx(
        metrics.precision_score(own, found, **options)
    )
    assert values["recall"].mean() == pytest.approx(metrics.recall_score(own, found, **options))
    assert values["f1"].mean() == pytest.approx(metrics.f1_score(own, found, **options))


def test_nearest_is_the_largest_product_in_blocks():
    queries, documents = np.random.default_rng(0).normal(size=(2, 1500, 3)).astype(np.float32)
    expected = [int(np.argmax([q @ d for d in documents[:40]])) for q in queries[1000:1060]]
    assert nearest(queries, documents[:40])[1000:1060].tolist() == expected


def test_both_ways_are_measured(folder):
    encoder = HashEncoder()
    (result,) = make_task(folder).run(Subject(encoder=encoder), TaskContext())
    a, b = (encoder.encode(texts, role="text").dense for texts in (SOURCES, TARGETS))
    forth = [int(np.argmax(row)) for row in a @ b.T]
    back = [int(np.argmax(row)) for row in b @ a.T]
    right = np.array([forth[i] == i for i in range(5)])
    right_back = np.array([back[i] == i for i in range(5)])
    assert result.metrics["accuracy"] == result.main == right.mean()
    assert result.metrics["accuracy_back"] == right_back.mean()
    assert result.metrics["accuracy_both"] == (right & right_back).mean()
    assert [result.per_item[str(i + 1)] for i in range(5)] == right.astype(float).tolist()
    assert (result.subset, result.language, result.num_items) == ("de", "de-en", 5)
    wrong = {SOURCES[i]: TARGETS[forth[i]] for i in range(5) if not right[i]}
    assert {item.text: item.found for item in result.worst} == wrong
    assert all(item.value < 0 for item in result.worst)


def test_f1_may_be_the_main_metric(folder):
    (result,) = make_task(folder, main_metric="f1").run(
        Subject(encoder=HashEncoder()), TaskContext()
    )
    assert result.main == result.metrics["f1"]
    assert np.mean(list(result.per_item.values())) == pytest.approx(result.main)
    with pytest.raises(ConfigError, match="main_metric: got 'mrr'"):
        make_task(folder, main_metric="mrr")


def test_equal_texts_are_their_own_translations(folder):
    (folder / "en.txt").write_text("\n".join(SOURCES) + "\n")
    (result,) = make_task(folder).run(Subject(encoder=HashEncoder()), TaskContext())
    assert {result.metrics[name] for name in ("accuracy", "f1", "accuracy_both")} == {1.0}
    assert result.interval == (1.0, 1.0) and result.worst == ()


def test_empty_sentences_are_refused(folder):
    (folder / "en.txt").write_text("a\n\nb\nc\nd\n")
    with pytest.raises(DataError, match="field `target` is empty, expected a text"):
        make_task(folder).run(Subject(encoder=HashEncoder()), TaskContext())
