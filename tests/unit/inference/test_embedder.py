"""Embedder: what it returns is the model's own output, in order, cut and reported as promised."""

import pickle

import numpy as np
import pytest
import torch

import mgte
from mgte.errors import CheckpointError, ConfigError, DataError
from mgte.packing import pack

TEXTS = ["the moon and the tide", "bread", "", "how does a bicycle wheel turn " * 20, "sea water"]
# float32 sums in another order, on unit vectors.
TOLERANCE = 2e-6


@pytest.fixture
def embedder(embedder_folder):
    return mgte.Embedder.load(str(embedder_folder), device="cpu")


def test_vectors_are_the_models_own(embedder, embedder_folder):
    out = embedder.encode(TEXTS, dense=True, sparse=True)
    model = mgte.load_model(embedder_folder)
    model.skip_ids = embedder.model.skip_ids
    ids = embedder.tokenizer.encode(TEXTS, max_length=32).ids
    with torch.inference_mode():
        expected = model(pack(ids), sparse=True)
    unit = torch.nn.functional.normalize(expected.dense, dim=-1).numpy()
    assert np.abs(out.dense - unit).max() <= TOLERANCE
    assert np.array_equal(out.sparse.indices, expected.sparse.token_ids.numpy())
    assert np.allclose(out.sparse.values, expected.sparse.weights.numpy(), atol=1e-5)
    assert out.dense.dtype == out.sparse.values.dtype == np.float32


def test_each_text_alone_gives_the_same_in_any_order(embedder):
    together = embedder.encode(TEXTS, sparse=True)
    for index, text in enumerate(TEXTS):
        alone = embedder.encode([text], sparse=True)
        assert np.abs(alone.dense[0] - together.dense[index]).max() <= TOLERANCE
        assert alone.sparse.to_dicts()[0] == pytest.approx(
            together.sparse.to_dicts()[index], abs=1e-5
        )
    backwards = embedder.encode(TEXTS[::-1])
    assert np.abs(backwards.dense[::-1] - together.dense).max() <= TOLERANCE


def test_elastic_width_is_a_prefix_normalised_after_the_cut(embedder):
    full = embedder.encode(TEXTS, normalize=False).dense
    short = embedder.encode(TEXTS, dim=8).dense
    expected = full[:, :8] / np.linalg.norm(full[:, :8], axis=1, keepdims=True)
    assert np.abs(short - expected).max() <= TOLERANCE
    assert np.allclose(np.linalg.norm(short, axis=1), 1.0, atol=1e-6)


def test_counts_and_truncation_are_reported(embedder):
    out = embedder.encode(TEXTS)
    whole = [len(ids) for ids in embedder.tokenizer.encode(TEXTS, max_length=10_000).ids]
    assert out.num_tokens.tolist() == [min(count, 32) for count in whole]
    assert out.is_truncated.tolist() == [False, False, False, True, False]
    assert out.num_tokens_dropped.tolist() == [max(count - 32, 0) for count in whole]
    with pytest.raises(DataError, match=rf"texts\[3\]: has {whole[3]} tokens, more than.*32"):
        embedder.encode(TEXTS, overflow="error")


def test_a_record_survives_pickling(embedder):
    out = embedder.encode(TEXTS, sparse=True)
    back = pickle.loads(pickle.dumps(out))
    assert np.array_equal(back.dense, out.dense)
    assert np.array_equal(back.num_tokens_dropped, out.num_tokens_dropped)
    assert back.sparse.to_dicts() == out.sparse.to_dicts()


def test_queries_and_documents_get_the_models_prompts(embedder):
    query = embedder.encode_query(["bread"]).dense
    assert np.array_equal(query, embedder.encode(["what is bread"]).dense)
    assert np.array_equal(query, embedder.encode(["bread"], prompt="query").dense)
    assert np.array_equal(query, embedder.encode(["bread"], prompt="what is ").dense)
    assert np.array_equal(
        embedder.encode_document(["bread"]).dense, embedder.encode(["the bread"]).dense
    )
    instructed = embedder.encode_query(["bread"], instruction="find a recipe").dense
    spelled = embedder.encode(["Instruct: find a recipe\nQuery: bread"]).dense
    assert np.array_equal(instructed, spelled)
    with pytest.raises(ConfigError, match="prompt and instruction"):
        embedder.encode_query(["bread"], prompt="x", instruction="y")


def test_score_is_the_weighted_sum_of_its_parts(embedder):
    pairs = [("bread", "the bread rises"), ("tide", "moon and tide"), ("bread", "a map")]
    dense = embedder.score(pairs, dense_weight=1.0, sparse_weight=0.0)
    sparse = embedder.score(pairs, dense_weight=0.0, sparse_weight=1.0)
    assert np.allclose(embedder.score(pairs), dense + 0.3 * sparse, atol=1e-5)
    q = embedder.encode_query([query for query, _ in pairs], sparse=True)
    d = embedder.encode_document([document for _, document in pairs], sparse=True)
    assert np.allclose(dense, np.diag(embedder.similarity(q, d)), atol=1e-6)
    by_dict = [
        sum(weight * right.get(token, 0.0) for token, weight in left.items())
        for left, right in zip(q.sparse.to_dicts(), d.sparse.to_dicts(), strict=True)
    ]
    assert np.allclose(sparse, by_dict, rtol=1e-5)
    assert np.allclose(np.diag(q.sparse.dot(d.sparse)), by_dict, rtol=1e-5)
    assert np.allclose((q.sparse.to_scipy() @ d.sparse.to_scipy().T).diagonal(), by_dict, rtol=1e-5)


def test_sparse_weights_read_as_strings_and_leave_special_tokens_out(embedder):
    out = embedder.encode(TEXTS, sparse=True, dense=False)
    assert out.dense is None
    strings = out.sparse.to_strings(embedder.tokenizer)
    assert set(strings[0]) <= {"the", "moon", "and", "tide"}
    assert strings[2] == {}
    assert not set(out.sparse.indices.tolist()) & set(embedder.tokenizer.special_ids)
    assert [list(row.values()) for row in strings] == [
        sorted(row.values(), reverse=True) for row in strings
    ]


def test_nothing_in_gives_nothing_out(embedder):
    out = embedder.encode([], sparse=True)
    assert out.dense.shape == (0, embedder.dim)
    assert len(out.sparse) == len(out) == 0
    assert embedder.hidden_states([]) == []
    assert embedder.score([]).shape == (0,)


def test_token_ids_need_no_tokenizer(embedder, embedder_folder):
    ids = [list(row) for row in embedder.tokenizer.encode(TEXTS, max_length=32).ids]
    assert np.abs(embedder.encode_ids(ids).dense - embedder.encode(TEXTS).dense).max() <= TOLERANCE
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (embedder_folder / name).unlink()
    bare = mgte.Embedder.load(str(embedder_folder))
    assert np.abs(bare.encode_ids(ids).dense - embedder.encode(TEXTS).dense).max() <= TOLERANCE
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        bare.encode(TEXTS)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([[5], []], "sequence 1: token ids: there are none"),
        ([[5, 999]], "sequence 0: token id 999: expected 0 to"),
        ([[-1]], "sequence 0: token id -1"),
        ([[0.5]], "expected integers"),
        ([["a"]], "expected integers"),
    ],
)
def test_bad_token_ids_are_named(embedder, ids, message):
    with pytest.raises(DataError, match=message):
        embedder.encode_ids(ids)


def test_bad_options_are_named(embedder):
    for dim in (0, 33, -1, True, 1.5):
        with pytest.raises(ConfigError, match=r"dim: got .*expected 1 to 32"):
            embedder.encode(TEXTS, dim=dim)
    with pytest.raises(ConfigError, match="dense=False and sparse=False"):
        embedder.encode(TEXTS, dense=False)
    with pytest.raises(DataError, match="widths 32 and 8 differ"):
        embedder.similarity(embedder.encode(["a"]), embedder.encode(["a"], dim=8))
    with pytest.raises(DataError, match=r"pairs\[1\]: got 1 entries"):
        embedder.score([("a", "b"), ("c",)])


def test_load_options_are_checked(embedder_folder, reranker_folder):
    load = mgte.Embedder.load
    folder = str(embedder_folder)
    with pytest.raises(ConfigError, match="dtype: got 'fp8'"):
        load(folder, dtype="fp8")
    with pytest.raises(ConfigError, match="float16 is emulated"):
        load(folder, dtype="float16", device="cpu")
    with pytest.raises(ConfigError, match="backend: got 'onnx'"):
        load(folder, backend="onnx")
    with pytest.raises(ConfigError, match="device: got 'tpu'"):
        load(folder, device="tpu")
    with pytest.raises(ConfigError, match="max_length: got 0"):
        load(folder, max_length=0)
    with pytest.raises(CheckpointError, match="is a reranker"):
        load(str(reranker_folder))
    with pytest.raises(CheckpointError, match="expected a reranker"):
        mgte.Reranker.load(folder)


@pytest.mark.parametrize("backend", ["torch", "torch-eager", "openvino"])
def test_every_backend_gives_the_same_vectors(embedder, embedder_folder, backend):
    other = mgte.Embedder.load(str(embedder_folder), backend=backend)
    mine, theirs = (model.encode(TEXTS, sparse=True) for model in (embedder, other))
    assert np.abs(mine.dense - theirs.dense).max() <= 1e-5
    assert np.allclose(mine.sparse.values, theirs.sparse.values, atol=1e-4)
