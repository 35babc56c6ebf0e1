"""The bundled encoder, fine-tuned on cut real tasks, ends well above the majority class."""

from pathlib import Path
from typing import Any

import pytest

from mgte.evaluate.subjects.subject import Subject
from mgte.evaluate.suite import build_task, read_suite
from mgte.evaluate.tasks.task import TaskContext
from mgte.store import open_model

pytestmark = pytest.mark.slow


class Named:
    """An encoder of which only the name matters here."""

    name = "mgte-nano"


@pytest.fixture(scope="module")
def data(shared: Path) -> Path:
    folder = shared / "data"
    if not folder.is_dir():
        pytest.skip("no data folder")
    return folder


@pytest.fixture(scope="module")
def subject() -> Subject:
    return Subject(encoder=Named(), folder=open_model("mgte-nano").path)


def run(name: str, num_train: int, num_test: int, data: Path, subject: Subject):
    """Results of a task of the small suite, on its first examples."""
    (entry,) = read_suite("fine-tuning-small").only([name]).tasks
    cut: dict[str, Any] = dict(entry)
    cut["training"] = entry["training"] | {
        "train": entry["training"]["train"] | {"stop": num_train}
    }
    cut["tests"] = [
        test
        | {"source": test["source"] | {"stop": test["source"].get("start", 0) + num_test}}
        | {"languages": test.get("languages", [])[:2]}
        for test in entry["tests"]
    ]
    return build_task(cut, data).run(subject, TaskContext(show_progress=False))


def test_sentiment(data, subject) -> None:
    (result,) = run("SST-2-small", 640, 400, data, subject)
    assert result.metrics["accuracy"] > result.facts["majority_accuracy"] + 0.15


def test_similarity(data, subject) -> None:
    (result,) = run("STS-B-small", 720, 300, data, subject)
    assert result.metrics["spearman"] > 0.4


def test_translations(data, subject) -> None:
    for result in run("Tatoeba-small", 32, 300, data, subject):
        # One of 300 by chance.
        assert result.metrics["accuracy"] > 0.1, result.language
