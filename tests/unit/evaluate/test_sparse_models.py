"""Models without dense vectors are measured on searches, and refused elsewhere."""

import json
import shutil

import numpy as np
import pytest
from tests.conftest import tiny_vocabulary
from tests.unit.evaluate.conftest import DOCUMENTS, QUERIES
from tests.unit.evaluate.fake_encoders import HashEncoder, WordScorer
from tests.unit.evaluate.test_run_suite import entry, run, suite_of
from tests.unit.evaluate.text_folders import scored_rows, write_jsonl

from mgte.errors import ConfigError, DataError
from mgte.evaluate.collection import read_collection
from mgte.evaluate.curve import measure_curve
from mgte.evaluate.embedding_cache import CachedEncoder
from mgte.evaluate.metrics import mean_metrics, measure_rankings
from mgte.evaluate.retrieval import evaluate_retrieval
from mgte.evaluate.retrieval_config import HybridConfig, RetrievalConfig
from mgte.evaluate.subjects import SparseSentenceEncoder, Subject, SubjectOptions, load_subject
from mgte.evaluate.subjects.sparse_sentence_models import is_sparse_model
from mgte.evaluate.suite import build_task
from mgte.evaluate.tasks.task import TaskContext
from mgte.inference import LoadOptions

CPU = SubjectOptions(load=LoadOptions(device="cpu", offline=True))
TEXTS = ["the moon is for the sea", "", "a map to read " * 40]


@pytest.fixture(scope="module")
def library():
    return pytest.importorskip("sentence_transformers")


@pytest.fixture(scope="module")
def sparse_folder(tmp_path_factory, library, masked_lm_folder):
    """A SPLADE model of one layer."""
    folder = tmp_path_factory.mktemp("splade") / "tiny-splade"
    model = library.SparseEncoder(
        str(masked_lm_folder), device="cpu", prompts={"query": "how ", "document": ""}
    )
    model.save(str(folder))
    return folder


@pytest.fixture(scope="module")
def subject(sparse_folder) -> Subject:
    return load_subject(f"st:{sparse_folder}", options=CPU)


def test_the_library_gives_the_same_weights(subject, sparse_folder, library) -> None:
    model = library.SparseEncoder(str(sparse_folder), device="cpu")
    for role in ("query", "document", "text"):
        encode = {"query": model.encode_query, "document": model.encode_document}
        wanted = encode.get(role, model.encode)(TEXTS).to_dense().numpy()
        found = subject.encoder.encode(TEXTS, role=role)
        assert found.dense is None
        np.testing.assert_allclose(found.sparse.to_scipy().toarray(), wanted, atol=1e-6)
        assert found.sparse.values.min() > 0.0
        for row in range(len(TEXTS)):
            assert np.all(np.diff(found.sparse.row(row)[0]) > 0)
    assert len(subject.encoder.encode([], role="text")) == 0
    assert subject.encoder.encode([], role="text").sparse.vocab_size == len(tiny_vocabulary())


def test_what_was_cut_is_told(subject, sparse_folder, library) -> None:
    encoder, model = subject.encoder, library.SparseEncoder(str(sparse_folder), device="cpu")
    assert encoder.max_length == 64
    for role, prompt in (("query", "how "), ("document", "")):
        found = encoder.encode(TEXTS, role=role)
        seen = model.preprocess([prompt + text for text in TEXTS])["attention_mask"].sum(dim=1)
        assert found.num_tokens.tolist() == seen.tolist()
        assert found.is_truncated.tolist() == [False, False, True]
        whole = model.tokenizer([prompt + text for text in TEXTS], verbose=False)["input_ids"]
        assert found.num_tokens_dropped.tolist() == [0, 0, len(whole[2]) - 64]
    # 64 tokens with [CLS] and [SEP]; the prompt of queries is one more.
    full = " ".join(["moon"] * 62)
    assert not encoder.encode([full], role="document").is_truncated[0]
    assert encoder.encode([full], role="query").is_truncated[0]
    options = SubjectOptions(load=LoadOptions(device="cpu", max_length=5), prompts={"query": ""})
    short = load_subject(f"st:{sparse_folder}", options=options).encoder
    found = short.encode(TEXTS[:2], role="query")
    assert found.num_tokens.tolist() == [5, 2]
    assert found.is_truncated.tolist() == [True, False]
    model.max_seq_length = 5
    wanted = model.encode(TEXTS[:2]).to_dense().numpy()
    np.testing.assert_allclose(found.sparse.to_scipy().toarray(), wanted, atol=1e-6)


@pytest.mark.parametrize("size", [100, 2])
def test_its_search_is_that_of_the_library(
    subject, sparse_folder, beir_folder, library, size
) -> None:
    model = library.SparseEncoder(str(sparse_folder), device="cpu")
    ids = ["q1", "q2", "q3"]
    texts = [f"{title} {text}".strip() for title, text in DOCUMENTS.values()]
    queries = model.encode_query([QUERIES[query] for query in ids])
    scores = model.similarity(queries, model.encode_document(texts)).numpy()
    names = sorted(DOCUMENTS)
    orders = {
        query: [names[row] for row in np.argsort(-row_scores, kind="stable")]
        for query, row_scores in zip(ids, scores, strict=True)
    }
    collection = read_collection(beir_folder)
    config = RetrievalConfig(documents_per_part=size, hybrid=HybridConfig(missing="computed"))
    result = evaluate_retrieval(subject.encoder, collection, config=config)
    assert list(result.modes) == ["sparse"]
    wanted = measure_rankings(orders, collection.qrels)
    assert result.modes["sparse"].metrics == pytest.approx(mean_metrics(wanted))
    assert result.modes["sparse"].per_query == wanted
    assert set(result.seconds) == {"embed", "sparse"}


def test_a_reranker_takes_its_best(subject, beir_folder) -> None:
    result = evaluate_retrieval(subject.encoder, beir_folder, reranker=WordScorer())
    assert list(result.modes) == ["sparse", "reranked"]
    assert result.settings["first_stage"] == "sparse"
    # "the moon and the tide" shares most words with the document that it is about.
    assert result.modes["reranked"].per_query["q1"]["ndcg_at_10"] == pytest.approx(1.0)
    kept = evaluate_retrieval(
        subject.encoder,
        beir_folder,
        reranker=WordScorer(),
        config=RetrievalConfig(rerank_blend=1.0),
    )
    assert kept.modes["reranked"].metrics == kept.modes["sparse"].metrics


def test_what_needs_dense_vectors_is_refused(subject, beir_folder) -> None:
    for mode in ("dense", "hybrid"):
        with pytest.raises(ConfigError, match=f"modes: '{mode}' needs a model with dense vectors"):
            evaluate_retrieval(subject.encoder, beir_folder, modes=(mode,))
        with pytest.raises(ConfigError, match=f"first_stage: '{mode}' needs a model with dense"):
            config = RetrievalConfig(first_stage=mode)
            evaluate_retrieval(subject.encoder, beir_folder, config=config)
    with pytest.raises(DataError, match="gave no dense vectors"):
        measure_curve(subject.encoder, read_collection(beir_folder))


KINDS = {
    "sts": {"path": "pairs.jsonl"},
    "pair_classification": {"path": "pairs.jsonl"},
    "classification": {"path": "pairs.jsonl"},
    "clustering": {"path": "pairs.jsonl"},
    "bitext": {"path": "pairs.jsonl"},
    "curve": "small",
    "efficiency": "small",
}


def test_a_width_needs_dense_vectors(subject, beir_folder) -> None:
    with pytest.raises(ConfigError, match=r"dim: got 4 for .*, which has no dense vectors"):
        evaluate_retrieval(subject.encoder, beir_folder, config=RetrievalConfig(dim=4))


@pytest.mark.parametrize("kind", KINDS)
def test_tasks_on_dense_vectors_name_themselves(kind, tmp_path) -> None:
    task = build_task({"kind": kind, "name": "mine", "data": KINDS[kind]}, tmp_path)
    encoder = HashEncoder(has_dense=False, name="splade")
    with pytest.raises(ConfigError, match="mine: got splade, which has no dense vectors"):
        task.run(Subject(encoder=encoder), TaskContext())


def test_efficiency_times_what_there_is(subject) -> None:
    values = {"kind": "efficiency", "name": "time", "measures": ["encoding"], "rounds": 1}
    task = build_task(values | {"lengths": [32], "num_tokens": 200}, None)
    results = task.run(subject, TaskContext())
    assert [result.facts["measure"] for result in results] == ["encoding"]
    assert results[0].metrics["tokens_per_second"] > 0.0


def test_a_suite_measures_what_is_possible(subject, beir_folder, tmp_path) -> None:
    write_jsonl(tmp_path / "pairs.jsonl", scored_rows(6))
    rows = [{"query": "the moon", "document": ["bread", "the moon and tide"], "grade": 1}]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    reranking = {"kind": "reranking", "name": "ranked", "layout": "lists"}
    suite = suite_of(
        {"kind": "sts", "name": "pairs", "data": {"path": "pairs.jsonl"}},
        entry("search"),
        reranking | {"data": {"path": "rows.jsonl"}},
    )
    asked = Subject(encoder=subject.encoder, reranker=WordScorer())
    report, told = run(suite, asked, tmp_path / "out", tmp_path)
    assert [failure.task for failure in report.failures] == ["pairs"]
    assert report.failures[0].error.startswith(
        f"pairs: got {subject.name}, which has no dense vectors, expected a model that has some"
    )
    found = [(result.task, result.variant) for result in report.results]
    assert found == [
        ("search", "sparse"),
        ("search", "reranked"),
        ("search", "bm25"),
        ("ranked", "sparse"),
        ("ranked", "reranked"),
    ]
    alone = evaluate_retrieval(subject.encoder, beir_folder)
    assert report.results[0].metrics == dict(alone.modes["sparse"].metrics)
    assert "settings" in (tmp_path / "out" / "report.json").read_text()
    refused, _ = run(suite, asked, tmp_path / "dense", tmp_path, modes=("dense",))
    assert len(refused.failures) == 3
    assert "possible here: sparse, reranked, bm25" in refused.failures[1].error
    assert told


def test_the_cache_keeps_weights_once(subject, tmp_path) -> None:
    first = CachedEncoder(subject.encoder, tmp_path)
    wanted = first.encode(TEXTS, role="document", sparse=True)
    again = CachedEncoder(subject.encoder, tmp_path)
    found = again.encode(TEXTS, role="document")
    assert (again.num_found, again.num_computed) == (3, 0)
    assert not again.has_dense
    assert found.dense is None
    np.testing.assert_array_equal(found.sparse.values, wanted.sparse.values)
    assert found.is_truncated.tolist() == wanted.is_truncated.tolist()


def changed_copy(folder, target, name, changes):
    shutil.copytree(folder, target)
    values = json.loads((target / name).read_text()) | changes
    kept = {key: value for key, value in values.items() if value is not None}
    (target / name).write_text(json.dumps(kept))
    return target


def test_sparse_models_are_recognised(sparse_folder, masked_lm_folder, subject, tmp_path) -> None:
    file = "config_sentence_transformers.json"
    assert is_sparse_model(str(sparse_folder))
    assert not is_sparse_model(str(masked_lm_folder))
    with pytest.raises(ConfigError, match="is no sparse model of sentence-transformers"):
        SparseSentenceEncoder(str(masked_lm_folder))
    dense = changed_copy(sparse_folder, tmp_path / "a", file, {"model_type": "SentenceTransformer"})
    assert not is_sparse_model(str(dense))
    # Files that do not name the type: the modules tell, and nothing untrained is put on top.
    old = changed_copy(sparse_folder, tmp_path / "b", file, {"model_type": None})
    assert is_sparse_model(str(old))
    found = load_subject(f"st:{old}", options=CPU).encoder.encode(TEXTS, role="query")
    wanted = subject.encoder.encode(TEXTS, role="query")
    np.testing.assert_allclose(found.sparse.values, wanted.sparse.values, atol=1e-6)


def test_short_names_are_those_of_dense_models(library, monkeypatch) -> None:
    def found(model, name, *, revision, local_files_only):
        asked.append((model, name, revision, local_files_only))

    asked = []
    monkeypatch.setattr(library.util, "load_file_path", found)
    assert not is_sparse_model("all-MiniLM-L6-v2")
    assert asked == []
    assert not is_sparse_model("a/b", LoadOptions(revision="c", offline=True))
    names = ("config_sentence_transformers.json", "modules.json")
    assert asked == [("a/b", name, "c", True) for name in names]


def test_cosine_models_get_unit_length(sparse_folder, subject, tmp_path) -> None:
    file = "config_sentence_transformers.json"
    changes = {"similarity_fn_name": "cosine", "max_active_dims": 4}
    folder = changed_copy(sparse_folder, tmp_path / "a", file, changes)
    encoder = load_subject(f"st:{folder}", options=CPU).encoder
    weights = encoder.encode(TEXTS, role="document").sparse
    assert np.diff(weights.indptr).tolist() == [4, 4, 4]
    np.testing.assert_allclose(np.diag(weights.dot(weights)), 1.0, atol=1e-6)
    assert encoder.is_cosine
    assert not subject.encoder.is_cosine
    assert encoder.fingerprint != subject.encoder.fingerprint
    assert encoder.revision == subject.encoder.revision


def test_weights_that_are_no_numbers_are_refused(sparse_folder) -> None:
    import torch

    encoder = load_subject(f"st:{sparse_folder}", options=CPU).encoder
    with torch.no_grad():
        next(encoder._model.parameters()).fill_(float("nan"))
    with pytest.raises(DataError, match="row 0 holds NaN or infinity"):
        encoder.encode(TEXTS, role="document")


@pytest.fixture(scope="module")
def two_part_folder(tmp_path_factory, library, masked_lm_folder):
    """Queries are looked up in a table of weights, documents go through a network."""
    import torch

    modules = pytest.importorskip("sentence_transformers.sparse_encoder.modules")
    general = pytest.importorskip("sentence_transformers.base.modules")
    network = general.Transformer(str(masked_lm_folder), transformer_task="fill-mask")
    table = modules.SparseStaticEmbedding(
        tokenizer=network.tokenizer,
        weight=torch.linspace(0.5, 1.5, len(tiny_vocabulary())),
        frozen=True,
    )
    router = general.Router.for_query_document(
        query_modules=[table], document_modules=[network, modules.SpladePooling("max")]
    )
    folder = tmp_path_factory.mktemp("two") / "tiny-two"
    library.SparseEncoder(modules=[router], device="cpu").save(str(folder))
    return folder


@pytest.mark.parametrize("max_length", [None, 5])
def test_parts_for_queries_and_documents(two_part_folder, library, max_length) -> None:
    options = SubjectOptions(load=LoadOptions(device="cpu", max_length=max_length))
    encoder = load_subject(f"st:{two_part_folder}", options=options).encoder
    limit = max_length or 64
    assert encoder.max_length == limit
    # Queries have no [CLS] and [SEP] here.
    for role, specials in (("query", 0), ("document", 2)):
        texts = [" ".join(["moon"] * (limit - specials + extra)) for extra in (0, 1)]
        found = encoder.encode(["", *texts], role=role)
        assert found.num_tokens.tolist() == [specials, limit, limit]
        assert found.is_truncated.tolist() == [False, False, True]
        assert found.num_tokens_dropped.tolist() == [0, 0, 1]
    long = "the sea is a map to read for the moon"
    words = encoder.encode([long], role="query").sparse.to_dicts()[0]
    assert len(words) == len(set(long.split()[:max_length]))
    if max_length is None:
        model = library.SparseEncoder(str(two_part_folder), device="cpu")
        for role, encode in (("query", model.encode_query), ("document", model.encode_document)):
            found = encoder.encode(TEXTS, role=role).sparse.to_scipy().toarray()
            np.testing.assert_allclose(found, encode(TEXTS).to_dense().numpy(), atol=1e-6)
