"""Real all-MiniLM-L6-v2 weights: our vectors and rankings beside sentence-transformers'."""

import gzip
import json

import numpy as np
import pytest

import mgte
from mgte.store import resolve_model

QUERIES, DOCUMENTS = 30, 120


@pytest.fixture(scope="module")
def folder():
    try:
        return resolve_model("all-minilm-l6-v2")
    except mgte.BackendUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def reference(folder):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    return sentence_transformers.SentenceTransformer(str(folder), device="cpu")


@pytest.fixture(scope="module")
def collection(shared):
    def texts(name, count):
        with gzip.open(shared / "data" / "scifact_beir" / name, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line, _ in zip(lines, range(count), strict=False)]
        return [f"{row.get('title', '')} {row['text']}".strip() for row in rows]

    return texts("queries.jsonl.gz", QUERIES), texts("corpus.jsonl.gz", DOCUMENTS)


@pytest.fixture(scope="module")
def expected(reference, collection):
    return [reference.encode(texts) for texts in collection]


@pytest.mark.parametrize("backend", ["torch", "openvino", "torch-eager"])
def test_real_weights_give_sentence_transformers_vectors_and_top_ten(
    folder, collection, expected, backend
):
    embedder = mgte.Embedder.load(str(folder), backend=backend, device="cpu")
    ours = [embedder.encode(texts).dense for texts in collection]
    for mine, theirs in zip(ours, expected, strict=True):
        cosines = (mine * theirs).sum(1) / np.linalg.norm(theirs, axis=1)
        assert cosines.min() >= 0.99999
    our_top, their_top = (
        np.argsort(-(query @ document.T), axis=1, kind="stable")[:, :10]
        for query, document in (ours, expected)
    )
    assert np.array_equal(our_top, their_top)


def test_token_ids_and_truncation_are_sentence_transformers(folder, reference, collection):
    embedder = mgte.Embedder.load(str(folder), device="cpu")
    assert embedder.max_length == reference.max_seq_length
    texts = collection[1][:100]
    expected = reference.tokenizer(texts, truncation=True, max_length=embedder.max_length)
    out = embedder.encode(texts)
    assert out.num_tokens.tolist() == [len(ids) for ids in expected["input_ids"]]
    whole = reference.tokenizer(texts)["input_ids"]
    dropped = [max(len(ids) - embedder.max_length, 0) for ids in whole]
    assert out.num_tokens_dropped.tolist() == dropped
    assert out.is_truncated.any()
