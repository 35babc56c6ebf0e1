"""Our tasks on texts and mteb's own code for them give the same numbers on the same data."""

import numpy as np
import pytest
from tests.unit.evaluate.fake_encoders import HashEncoder
from tests.unit.evaluate.text_folders import class_texts, scored_rows, write_jsonl

from mgte.evaluate.subjects import Subject
from mgte.evaluate.suite import build_task
from mgte.evaluate.tasks.task import TaskContext

pytest.importorskip("mteb")

from datasets import Dataset
from mteb.abstasks.classification import AbsTaskClassification
from mteb.abstasks.clustering import AbsTaskClustering
from mteb.abstasks.pair_classification import AbsTaskPairClassification
from mteb.abstasks.sts import AbsTaskSTS
from mteb.abstasks.text.bitext_mining import AbsTaskBitextMining
from mteb.models import ModelMeta
from tests.unit.evaluate.mteb_tasks import FOREIGN_WARNINGS, metadata

pytestmark = [pytest.mark.filterwarnings(warning) for warning in FOREIGN_WARNINGS]
# mteb's tasks draw with this seed.
SEED = 42


class PlainEncoder:
    """Vectors of a `HashEncoder` as mteb asks for them, without any code of ours between."""

    mteb_model_meta = ModelMeta.create_empty(overwrites={"name": "test/hash", "revision": "1"})

    def __init__(self, encoder) -> None:
        self._encoder = encoder

    def encode(self, inputs, **options) -> np.ndarray:
        texts = [text for batch in inputs for text in batch["text"]]
        return self._encoder.encode(texts, role="text").dense

    def similarity(self, first, second) -> np.ndarray:
        return np.asarray(first) @ np.asarray(second).T

    def similarity_pairwise(self, first, second) -> np.ndarray:
        return (np.asarray(first) * np.asarray(second)).sum(1)


class NearEncoder(HashEncoder):
    """Vectors of the first word with a little of the rest, so that classes can be told apart."""

    def vector(self, words, role) -> np.ndarray:
        mixed = super().vector(words[:1], role) + 0.5 * super().vector(words, role)
        return mixed / np.linalg.norm(mixed)


def of_mteb(kind, task_type, main_score, splits, encoder, **attributes):
    """Scores that mteb's class for a kind of task gives."""

    def load_data(self, **options) -> None:
        self.dataset = {split: Dataset.from_list(rows) for split, rows in splits.items()}
        self.data_loaded = True

    name = f"Local{task_type}"
    attributes |= {"metadata": metadata(name, task_type, main_score), "load_data": load_data}
    task = type(name, (kind,), attributes)()
    scores = task.evaluate(PlainEncoder(encoder), "test", encode_kwargs={"batch_size": 32})
    return scores["default"]


def of_ours(folder, splits, encoder, **entry):
    """Scores of our task on files with the same rows."""
    for split, rows in splits.items():
        write_jsonl(folder / f"{split}.jsonl", rows)
    data = {"path": "{split}.jsonl"} | entry.pop("data", {})
    task = build_task({"name": "local", "data": data} | entry, folder)
    (result,) = task.run(Subject(encoder=encoder), TaskContext(seed=SEED))
    return result.metrics


def same(ours, theirs, names, tolerance=1e-9) -> None:
    for mine, name in names.items():
        assert ours[mine] == pytest.approx(float(theirs[name]), abs=tolerance), name


def test_sts(tmp_path):
    splits = {"test": scored_rows(150)}
    encoder = HashEncoder()
    theirs = of_mteb(AbsTaskSTS, "STS", "cosine_spearman", splits, encoder)
    ours = of_ours(tmp_path, splits, encoder, kind="sts")
    kinds = ("cosine", "manhattan", "euclidean")
    names = [f"{kind}_{metric}" for kind in kinds for metric in ("spearman", "pearson")]
    same(ours, theirs, {name: name for name in names})
    # The similarity of the model itself rounds otherwise, which parts or joins ties.
    same(ours, theirs, {"spearman": "spearman", "pearson": "pearson"}, tolerance=2e-3)


@pytest.mark.parametrize("labels", [("animal", "tool"), ("animal", "tool", "food")])
def test_classification(tmp_path, labels):
    numbers = {label: number for number, label in enumerate(labels)}
    splits = {
        split: [
            {"text": text, "label": numbers[label]}
            for text, label in class_texts(120, seed, labels)
        ]
        for split, seed in (("train", 1), ("test", 2))
    }
    encoder = HashEncoder()
    theirs = of_mteb(AbsTaskClassification, "Classification", "accuracy", splits, encoder)
    ours = of_ours(tmp_path, splits, encoder, kind="classification")
    metrics = ["accuracy", "f1", "f1_weighted", *(["ap"] if len(labels) == 2 else [])]
    same(ours, theirs, {name: name for name in metrics})
    assert ours["accuracy"] < 1.0


@pytest.mark.parametrize("limit", [0, 90])
def test_clustering(tmp_path, limit):
    rows = [{"sentences": text, "labels": label} for text, label in class_texts(150, seed=3)]
    splits, encoder = {"test": rows}, NearEncoder(width=16)
    theirs = of_mteb(
        AbsTaskClustering,
        "Clustering",
        "v_measure",
        splits,
        encoder,
        max_fraction_of_documents_to_embed=None,
        max_document_to_embed=limit or None,
        max_documents_per_cluster=200,
    )
    ours = of_ours(
        tmp_path,
        splits,
        encoder,
        kind="clustering",
        text="sentences",
        label="labels",
        sample_size=200,
        data={"max_items": limit},
    )
    same(ours, theirs, {name: name for name in ("v_measure", "v_measure_std", "ami")})
    assert 0.0 < ours["v_measure"] < 1.0


def test_pair_classification(tmp_path):
    splits = {"test": [row | {"labels": int(row["score"] > 2)} for row in scored_rows(150)]}
    encoder = HashEncoder()
    theirs = of_mteb(AbsTaskPairClassification, "PairClassification", "max_ap", splits, encoder)
    ours = of_ours(tmp_path, splits, encoder, kind="pair_classification", label="labels")
    kinds = ("cosine", "manhattan", "euclidean")
    metrics = ("ap", "accuracy", "f1", "precision", "recall")
    same(ours, theirs, {f"{k}_{metric}": f"{k}_{metric}" for k in kinds for metric in metrics})
    # Products that tie in one order of adding do not in another.
    same(ours, theirs, {f"dot_{metric}": f"dot_{metric}" for metric in metrics}, tolerance=2e-2)


def test_bitext(tmp_path):
    texts = sorted({text for text, _ in class_texts(150, seed=4)})
    rows = [{"sentence1": text, "sentence2": f"{text.split()[0]} old"} for text in texts]
    rows += [{"sentence1": f"own{n} x", "sentence2": f"own{n} y"} for n in range(40)]
    encoder = HashEncoder()
    # Equal targets tie, and mteb takes any of them.
    rows = list({row["sentence2"]: row for row in rows}.values())
    theirs = of_mteb(AbsTaskBitextMining, "BitextMining", "f1", {"test": rows}, encoder)
    names = {"source": "sentence1", "target": "sentence2"}
    ours = of_ours(tmp_path, {"test": rows}, encoder, kind="bitext", **names)
    same(ours, theirs, {name: name for name in ("accuracy", "f1", "precision", "recall")})
    assert 0.0 < ours["accuracy"] < 1.0
