"""Reranker: predict, rank and their reports."""

import logging

import numpy as np
import pytest

import mgte
from mgte.errors import ConfigError, DataError

PAIRS = [("what makes bread rise", "the sea"), ("tide", "the moon makes the tide"), ("", "")]


@pytest.fixture
def reranker(reranker_folder):
    return mgte.Reranker.load(str(reranker_folder), device="cpu")


def test_scores_are_the_models_own_whatever_travels_along(reranker, reranker_folder):
    raw = reranker.predict(PAIRS, activation="none")
    tokens = reranker.tokenizer.encode_pairs(*zip(*PAIRS, strict=True), max_length=64)
    logits = mgte.load_model(reranker_folder).logits_ids(tokens.ids)
    assert np.allclose(raw, [float(row[0]) for row in logits], atol=1e-5)
    alone = [reranker.predict([pair], activation="none")[0] for pair in PAIRS]
    assert np.allclose(raw, alone, atol=1e-5)
    assert np.allclose(reranker.predict(PAIRS), 1 / (1 + np.exp(-raw)), atol=1e-6)
    assert np.allclose(reranker.predict_ids(tokens.ids)[:, 0], raw, atol=1e-5)
    assert raw.dtype == np.float32


def test_rank_sorts_by_score_and_keeps_ties_in_order(reranker):
    documents = ["the sea", "a map", "the sea", "bread and light", "a map"]
    ranked = reranker.rank("what is a map", documents)
    assert sorted(hit.index for hit in ranked) == list(range(5))
    assert all(documents[hit.index] == hit.text for hit in ranked)
    keys = [(-hit.score, hit.index) for hit in ranked]
    assert [key[0] for key in keys] == sorted(key[0] for key in keys)
    assert [hit.index for hit in ranked if hit.text == "a map"] == [1, 4]
    assert reranker.rank("what is a map", documents, top_k=2) == ranked[:2]
    assert reranker.rank("x", []) == []


def test_cut_pairs_are_reported(reranker, caplog):
    long = "bread and water " * 40
    with caplog.at_level(logging.WARNING):
        reranker.predict([("bread", "sea"), ("bread", long)])
    assert "1 of 2 pairs were cut to max_length=64 tokens, the first is pairs[1]" in caplog.text
    scored = reranker.score_pairs([("bread", "sea"), ("bread", long)])
    assert scored.is_truncated.tolist() == [False, True]
    assert scored.num_tokens.tolist()[1] == 64
    assert scored.count_dropped(1) == 120 + 1 + 3 - 64
    with pytest.raises(DataError, match=r"pairs\[1\].*64"):
        reranker.predict([("bread", "sea"), ("bread", long)], overflow="error")


def test_bad_input_is_named(reranker):
    with pytest.raises(DataError, match=r"pairs\[0\]: got str"):
        reranker.predict(["ab"])
    with pytest.raises(DataError, match="pairs: got a string"):
        reranker.predict("ab")
    with pytest.raises(DataError, match=r"\[1\].*None"):
        reranker.predict([("a", "b"), ("a", None)])
    with pytest.raises(DataError, match="documents: got a string"):
        reranker.rank("a", "documents")
    with pytest.raises(ConfigError, match="activation: got 'softmax'"):
        reranker.predict(PAIRS, activation="softmax")
    with pytest.raises(ConfigError, match="top_k: got 0"):
        reranker.rank("a", ["b"], top_k=0)
