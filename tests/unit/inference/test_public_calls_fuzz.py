"""Whatever comes in, a public call gives a well-formed result or one sentence of our own."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mgte
from mgte.errors import MgteError

RELAXED = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
# Every kind of string, lone surrogates included, and things that are no strings.
any_text = st.text(st.characters(exclude_categories=()), max_size=60)
anything = st.one_of(any_text, st.none(), st.integers(), st.binary(max_size=4), st.just([]))
any_dim = st.one_of(st.none(), st.integers(-2, 40))


@pytest.fixture
def embedder(embedder_folder):
    return mgte.Embedder.load(str(embedder_folder), device="cpu")


@pytest.fixture
def reranker(reranker_folder):
    return mgte.Reranker.load(str(reranker_folder), device="cpu")


def one_sentence(error: MgteError) -> bool:
    return 0 < len(str(error).splitlines()) <= 3


@RELAXED
@given(
    texts=st.lists(anything, max_size=6),
    dim=any_dim,
    sparse=st.booleans(),
    overflow=st.sampled_from(["truncate", "error"]),
    prompt=st.one_of(st.none(), any_text),
)
def test_encode(embedder, texts, dim, sparse, overflow, prompt):
    try:
        out = embedder.encode(texts, dim=dim, sparse=sparse, overflow=overflow, prompt=prompt)
    except MgteError as error:
        assert one_sentence(error)
        return
    assert all(isinstance(text, str) for text in texts)
    assert out.dense.shape == (len(texts), dim or embedder.dim)
    assert np.isfinite(out.dense).all()
    assert (out.num_tokens <= 32).all()
    assert (out.is_truncated == (out.num_tokens_dropped > 0)).all()
    if sparse:
        assert (out.sparse.values > 0).all()
        assert len(out.sparse) == len(texts)


@RELAXED
@given(st.lists(st.one_of(anything, st.tuples(anything, anything)), max_size=5))
def test_predict_and_score(embedder, reranker, pairs):
    for call in (reranker.predict, embedder.score):
        try:
            scores = call(pairs)
        except MgteError as error:
            assert one_sentence(error)
        else:
            assert scores.shape == (len(pairs),)
            assert np.isfinite(scores).all()


@RELAXED
@given(
    query=anything,
    documents=st.lists(anything, max_size=5),
    top_k=st.one_of(st.none(), st.integers(-1, 6)),
)
def test_rank(reranker, query, documents, top_k):
    try:
        ranked = reranker.rank(query, documents, top_k=top_k)
    except MgteError as error:
        assert one_sentence(error)
    else:
        assert len(ranked) == min(len(documents), top_k or len(documents))


@RELAXED
@given(
    ids=st.lists(st.lists(st.integers(-2, 130), max_size=40), max_size=5),
    types=st.one_of(st.none(), st.lists(st.lists(st.integers(0, 2), max_size=4), max_size=5)),
)
def test_token_ids(embedder, ids, types):
    try:
        out = embedder.encode_ids(ids, token_type_ids=types, sparse=True)
    except MgteError as error:
        assert one_sentence(error)
    else:
        assert out.dense.shape == (len(ids), embedder.dim)
        assert out.num_tokens.tolist() == [len(row) for row in ids]


def test_a_single_line_of_five_megabytes(embedder):
    out = embedder.encode(["moon and tide " * 370_000, "x" * 5_000_000])
    assert out.num_tokens[0] == 32
    assert out.is_truncated[0]
    assert np.isfinite(out.dense).all()
