import json

import numpy as np
import pytest

from mgte.cli import published
from mgte.cli.published import checkpoint_of, compare_published, known_checkpoints


@pytest.mark.parametrize(
    ("model", "checkpoint"),
    [
        ("Alibaba-NLP/gte-multilingual-base", "gte-multilingual-base"),
        ("/models/GTE-multilingual-base/", "gte-multilingual-base"),
        ("gte-base-en-v1.5", "gte-base-en-v1.5"),
        ("gte-multilingual-base-mine", None),
    ],
)
def test_a_checkpoint_is_known_by_the_last_part_of_its_name(model, checkpoint) -> None:
    assert checkpoint_of(model) == checkpoint


def test_every_published_result_says_where_it_is_from_and_has_its_texts() -> None:
    data = json.loads(published._FILE.read_text("utf-8"))
    for checkpoint in known_checkpoints():
        for check in data["checks"][checkpoint]:
            assert check["source"]
            assert check["tolerance"] > 0
            texts = data["texts"][check["texts"]]
            num_expected = len(texts) - 1 if check["kind"] == "cosine" else len(texts)
            assert len(check["expected"]) == num_expected
            assert np.isfinite(np.array(check["expected"], dtype=np.float64)).all()


class FixedReranker:
    def predict(self, pairs, activation):
        logits = np.linspace(-1, 1, len(pairs), dtype=np.float32)
        return logits if activation == "none" else 1 / (1 + np.exp(-logits))


def test_a_wrong_score_is_seen() -> None:
    rows = compare_published(FixedReranker(), "gte-reranker-modernbert-base")
    assert {row.kind for row in rows} == {"sigmoid", "logit"}
    assert not any(row.is_ok for row in rows)
    # The card's first logit is 2.1387, the stand-in's -1.
    card = next(row for row in rows if row.source.startswith("model card"))
    assert card.max_abs == pytest.approx(2.1387 + 1)


def test_another_model_under_a_published_name_is_seen(tiny_embedder) -> None:
    from mgte.inference import Embedder

    rows = compare_published(Embedder.load(str(tiny_embedder)), "gte-multilingual-base")
    assert [row.kind for row in rows] == ["hidden", "cosine"]
    assert all(np.isfinite(row.max_abs) for row in rows)
    assert not any(row.is_ok for row in rows)


def test_single_texts_are_scored_as_whole_pairs(tiny_reranker) -> None:
    from mgte.inference import Reranker

    rows = compare_published(Reranker.load(str(tiny_reranker)), "gte-multilingual-reranker-base")
    assert {row.kind for row in rows} == {"single_logit", "sigmoid", "logit"}
    assert not all(row.is_ok for row in rows)
