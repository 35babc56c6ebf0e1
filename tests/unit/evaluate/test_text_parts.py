"""What text tasks share: subsets, vectors, time, worst items, packages that are absent."""

import importlib

import numpy as np
import pytest
from tests.unit.evaluate.fake_encoders import HashEncoder
from tests.unit.evaluate.text_folders import write_jsonl

from mgte.errors import BackendUnavailableError, DataError
from mgte.evaluate.tasks.text_parts import (
    Measuring,
    foreign,
    text_parts,
    timed,
    worst_first,
    worst_item,
)
from mgte.evaluate.text_data import TextDataConfig
from mgte.vectors import Embeddings


class SparseAlone(HashEncoder):
    """Gives no dense vectors."""

    def encode(self, texts, *, role, sparse=False) -> Embeddings:
        found = super().encode(texts, role=role, sparse=True)
        return Embeddings(
            dense=None,
            sparse=found.sparse,
            num_tokens=found.num_tokens,
            is_truncated=found.is_truncated,
        )


class Unchecked(HashEncoder):
    """Gives NaN without a word."""

    def vector(self, words, role) -> np.ndarray:
        return super().vector(words, role) * np.nan


def test_parts_read_their_own_rows_and_name_their_own_fields(tmp_path):
    for language in ("de", "en"):
        write_jsonl(tmp_path / "test" / f"{language}.jsonl", [{"text": language}])
        write_jsonl(tmp_path / "train" / f"{language}.jsonl", [{"text": f"{language} train"}])
    data = TextDataConfig(path="{split}/{subset}.jsonl", subsets={"de": "de-en", "en": "en-de"})
    parts = text_parts(data, tmp_path)
    assert [part.rows()[0].fields["text"] for part in parts] == ["de", "en"]
    assert [part.rows("train")[0].fields["text"] for part in parts] == ["de train", "en train"]
    assert parts[0].field("{subset} {language} {split}") == "de de-en test"


def test_vectors_follow_the_texts_and_count_all_of_them():
    encoder = HashEncoder()
    measuring = Measuring(encoder=encoder)
    texts = ["a b", "c", "a b", "one two three four five"]
    found = measuring.vectors(texts)
    expected = encoder.encode(texts, role="text").dense
    assert np.array_equal(found, expected)
    measuring.vectors(["one two three four five"] * 2)
    facts = measuring.facts(more=1)
    assert facts == {"num_texts": 6, "num_truncated": 3, "more": 1}
    assert measuring.seconds["embed"] > 0


@pytest.mark.parametrize(
    ("encoder", "message"), [(SparseAlone(), "gave no dense vectors"), (Unchecked(), "gave NaN")]
)
def test_vectors_that_cannot_be_compared_are_refused(encoder, message):
    with pytest.raises(DataError, match=f"hash: {message}"):
        Measuring(encoder=encoder).vectors(["a"])


def test_time_adds_up_even_where_work_fails():
    seconds = {"score": 1.0}
    with pytest.raises(KeyError), timed(seconds, "score"):
        raise KeyError
    assert 1.0 < seconds["score"] < 2.0


def test_worst_items_are_the_smallest_and_short():
    assert worst_first([3.0, 1.0, 2.0, 1.0], count=3) == [1, 3, 2]
    item = worst_item("7", np.float32(0.5), "x" * 1000, "a", "b")
    assert len(item.text) == 400 and item.text.endswith("…") and type(item.value) is float


@pytest.mark.parametrize(
    ("module", "package"), [("sklearn.metrics", "scikit-learn"), ("scipy.stats", "scipy")]
)
def test_absent_packages_are_named(monkeypatch, module, package):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(BackendUnavailableError, match=rf"package {package}\n\nhint: pip install"):
        foreign(module)
