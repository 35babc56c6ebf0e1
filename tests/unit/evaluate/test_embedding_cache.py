"""What is read from the cache is what was computed, to the bit."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tests.unit.evaluate.fake_encoders import HashEncoder, NanEncoder

from mgte.errors import DataError
from mgte.evaluate import embedding_cache
from mgte.evaluate.embedding_cache import CachedEncoder

TEXTS = ["a b", "one two three four five six", "", "moon", "a b", "tide and sea"]


def assert_equal(found, wanted) -> None:
    assert np.array_equal(found.dense, wanted.dense)
    assert np.array_equal(found.num_tokens, wanted.num_tokens)
    assert np.array_equal(found.is_truncated, wanted.is_truncated)
    assert np.array_equal(found.num_tokens_dropped, wanted.num_tokens_dropped)
    assert (found.sparse is None) == (wanted.sparse is None)
    if found.sparse is not None:
        assert found.sparse.to_dicts() == wanted.sparse.to_dicts()
        assert found.sparse.vocab_size == wanted.sparse.vocab_size


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_hits_are_bit_equal(tmp_path, monkeypatch, sparse, chunk) -> None:
    monkeypatch.setattr(embedding_cache, "_TEXTS_PER_CHUNK", chunk)
    plain = HashEncoder().encode(TEXTS, role="query", sparse=sparse)
    encoder = HashEncoder()
    cached = CachedEncoder(encoder, tmp_path)
    assert_equal(cached.encode(TEXTS, role="query", sparse=sparse), plain)
    assert encoder.num_asked == 5  # "a b" once
    assert_equal(cached.encode(TEXTS, role="query", sparse=sparse), plain)
    again = CachedEncoder(HashEncoder(), tmp_path)
    assert_equal(again.encode(TEXTS, role="query", sparse=sparse), plain)
    assert again.encoder.num_asked == 0
    assert (again.num_found, again.num_computed) == (5, 0)
    assert again.num_bytes > 0


def test_another_model_role_or_kind_is_another_key(tmp_path) -> None:
    encoder = HashEncoder()
    cached = CachedEncoder(encoder, tmp_path)
    cached.encode(["a"], role="query")
    cached.encode(["a"], role="document")
    cached.encode(["a"], role="query", sparse=True)
    assert encoder.num_asked == 3
    other = HashEncoder(salt="x")
    found = CachedEncoder(other, tmp_path).encode(["a"], role="query")
    assert other.num_asked == 1
    assert np.array_equal(found.dense, other.encode(["a"], role="query").dense)


def test_part_there_part_new(tmp_path) -> None:
    encoder = HashEncoder()
    CachedEncoder(encoder, tmp_path).encode(TEXTS[:3], role="text")
    cached = CachedEncoder(encoder, tmp_path)
    assert_equal(cached.encode(TEXTS, role="text"), HashEncoder().encode(TEXTS, role="text"))
    assert encoder.num_asked == 5


def test_a_damaged_chunk_is_computed_again(tmp_path, caplog) -> None:
    encoder = HashEncoder()
    CachedEncoder(encoder, tmp_path).encode(TEXTS, role="text")
    (file,) = tmp_path.rglob("*.safetensors")
    file.write_bytes(file.read_bytes()[:50])
    cached = CachedEncoder(encoder, tmp_path)
    assert_equal(cached.encode(TEXTS, role="text"), HashEncoder().encode(TEXTS, role="text"))
    assert "cannot be read" in caplog.text


def test_what_was_done_before_an_interruption_is_kept(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(embedding_cache, "_TEXTS_PER_CHUNK", 2)
    with pytest.raises(DataError, match=r"row 1 holds NaN or infinity.*its text: 'the nan'"):
        CachedEncoder(NanEncoder(), tmp_path).encode(["a", "b", "c", "the nan"], role="text")
    encoder = HashEncoder()
    CachedEncoder(encoder, tmp_path).encode(["a", "b", "c"], role="text")
    assert encoder.num_asked == 1
    assert not [file for file in tmp_path.rglob(".*")]


def test_nothing_to_embed(tmp_path, dense_folder) -> None:
    from mgte.evaluate.subjects import EmbedderSubject
    from mgte.inference import Embedder

    cached = CachedEncoder(EmbedderSubject(Embedder.load(str(dense_folder))), tmp_path)
    assert len(cached.encode([], role="text")) == 0
    assert not list(tmp_path.iterdir())


def test_several_writers_at_once(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(embedding_cache, "_TEXTS_PER_CHUNK", 3)
    texts = [f"text {number}" for number in range(30)]
    wanted = HashEncoder().encode(texts, role="text")

    def encode(shift: int):
        cached = CachedEncoder(HashEncoder(), tmp_path)
        return cached.encode(texts[shift:] + texts[:shift], role="text")

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(encode, [0, 0, 7, 11]))
    for shift, embeddings in zip([0, 0, 7, 11], found, strict=True):
        assert np.array_equal(np.roll(embeddings.dense, shift, axis=0), wanted.dense)
    assert not [file for file in tmp_path.rglob(".*")]
    reader = CachedEncoder(HashEncoder(), tmp_path)
    assert_equal(reader.encode(texts, role="text"), wanted)
    assert reader.num_computed == 0


def test_chunks_take_about_half_a_minute() -> None:
    budget = embedding_cache._Budget()
    first = budget.characters
    budget.learn(100_000, 0.1)
    assert budget.characters == 4 * first  # no more at once: the clock may be wrong
    for _ in range(5):
        budget.learn(1_000_000, 1.0)
    assert budget.characters == 4_000_000
    budget.learn(1_000_000, 300.0)
    assert budget.characters == 100_000
    budget.learn(100, 300.0)
    assert budget.characters == 20_000
