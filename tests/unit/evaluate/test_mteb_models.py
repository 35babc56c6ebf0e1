"""Behind mteb's protocols, our models do what mteb's own wrappers do with the same vectors."""

import json
import shutil

import numpy as np
import pytest

from mgte.errors import ConfigError, DataError
from mgte.evaluate.retrieval_config import RetrievalConfig
from mgte.inference import Embedder, Reranker

pytest.importorskip("mteb")

from mteb._create_dataloaders import create_dataloader
from mteb.mocks import mock_run
from mteb.mocks.mock_tasks.retrieval import (
    MockInstructionRetrieval,
    MockRetrievalDialogTask,
    MockRetrievalTask,
)
from mteb.mocks.mock_tasks.sts import MockSTSTask
from mteb.models import CrossEncoderProtocol, EncoderProtocol, SearchProtocol
from mteb.models.abs_encoder import get_prompt_name
from mteb.models.search_wrappers import SearchEncoderWrapper
from mteb.types import PromptType
from tests.unit.evaluate.fake_encoders import HashEncoder, WordScorer
from tests.unit.evaluate.mteb_tasks import FOREIGN_WARNINGS

from mgte.evaluate.mteb import mteb_model
from mgte.evaluate.mteb.encoder import MtebEncoder
from mgte.evaluate.mteb.model_meta import hub_commit, organised_name
from mgte.evaluate.mteb.mteb_calls import document_texts, find_prompt, query_texts
from mgte.evaluate.retrieval_config import HybridConfig
from mgte.evaluate.subjects import Subject

pytestmark = [pytest.mark.filterwarnings(warning) for warning in FOREIGN_WARNINGS]
SEARCHES = (MockRetrievalTask, MockInstructionRetrieval, MockRetrievalDialogTask)


def failures(model) -> dict[str, str]:
    results = mock_run.mock_run(model)
    measured = {name: found for name, found in results.items() if found is not None}
    assert measured
    return {
        name: found.exception for name, found in measured.items() if hasattr(found, "exception")
    }


def test_every_type_of_text_task_runs(hybrid_folder) -> None:
    model = mteb_model(hybrid_folder)
    assert isinstance(model, EncoderProtocol)
    assert not isinstance(model, SearchProtocol)
    assert failures(model) == {}


@pytest.mark.parametrize("variant", ["sparse", "hybrid", "reranked"])
def test_every_search_runs(hybrid_folder, reranker_folder, variant) -> None:
    model = mteb_model(hybrid_folder, variant=variant, reranker=reranker_folder)
    assert isinstance(model, SearchProtocol)
    assert not isinstance(model, EncoderProtocol)
    assert failures(model) == {}


def test_a_reranker_runs_all_that_has_candidates(reranker_folder) -> None:
    model = mteb_model(reranker_folder)
    assert isinstance(model, CrossEncoderProtocol)
    for name, error in failures(model).items():
        assert "Reranking" not in name
        assert "requires top_ranked" in error


def searched(model, task, top_ranked=None):
    part = task.dataset[task.metadata.hf_subsets[0]][task.metadata.eval_splits[0]]
    shared = {"task_metadata": task.metadata, "hf_split": "test", "hf_subset": "default"}
    options = shared | {"encode_kwargs": {"batch_size": 2}, "num_proc": None}
    model.index(part["corpus"], **options)
    return model.search(part["queries"], top_k=10, top_ranked=top_ranked, **options)


@pytest.mark.parametrize("kind", SEARCHES)
@pytest.mark.parametrize("top_ranked", [None, {"q1": ["d2", "d1"], "q2": ["d1"]}])
def test_our_dense_search_equals_that_of_mteb(hybrid_folder, kind, top_ranked) -> None:
    task = kind()
    task.load_data()
    embedder = Embedder.load(str(hybrid_folder))
    prompts = {"query": "how to ", task.metadata.type: "read ", "document": "the "}
    from mgte.evaluate.mteb import MtebSearch
    from mgte.evaluate.subjects import EmbedderSubject, Subject

    ours = MtebSearch(
        Subject(encoder=EmbedderSubject(embedder)), variant="dense", prompts=prompts, width=24
    )
    theirs = SearchEncoderWrapper(mteb_model(embedder, prompts=prompts, width=24))
    found, expected = searched(ours, task, top_ranked), searched(theirs, task, top_ranked)
    assert found.keys() == expected.keys()
    for query_id, scores in expected.items():
        assert found[query_id] == pytest.approx(scores, abs=1e-5)
    if top_ranked is not None:
        assert set(found["q2"]) == {"d1"}


@pytest.mark.parametrize("scale", ["raw", "query"])
@pytest.mark.parametrize("variant", ["sparse", "hybrid", "reranked"])
def test_candidates_get_the_scores_of_the_whole_search(
    hybrid_folder, reranker_folder, variant, scale
) -> None:
    hybrid = HybridConfig(sparse_weight=0.3, sparse_scale=scale, missing="computed")
    model = mteb_model(
        hybrid_folder,
        variant=variant,
        reranker=reranker_folder,
        config=RetrievalConfig(hybrid=hybrid),
    )
    task = MockRetrievalTask()
    task.load_data()
    everything = {"q1": ["d1", "d2"], "q2": ["d1", "d2"]}
    whole, of_candidates = searched(model, task), searched(model, task, everything)
    for query_id, scores in whole.items():
        shared = {doc_id: of_candidates[query_id][doc_id] for doc_id in scores}
        assert shared == pytest.approx(scores, abs=1e-5)


@pytest.mark.parametrize("kind", SEARCHES)
def test_texts_of_raw_columns_are_those_of_the_loader(kind) -> None:
    task = kind()
    task.load_data()
    part = task.dataset["default"]["test"]
    sides = (
        (PromptType.query, "queries", query_texts),
        (PromptType.document, "corpus", document_texts),
    )
    for side, name, ours in sides:
        loader = create_dataloader(part[name], task_metadata=task.metadata, prompt_type=side)
        assert ours(part[name]) == [text for batch in loader for text in batch["text"]]


def test_prompts_are_chosen_as_mteb_does() -> None:
    metadata = MockRetrievalTask.metadata
    name, task_type = metadata.name, str(metadata.type)
    keys = [f"{name}-query", name, f"{task_type}-query", task_type, "query", "document"]
    for side in (PromptType.query, PromptType.document, None):
        for number in range(1 << len(keys)):
            prompts = {key: key for bit, key in enumerate(keys) if number >> bit & 1}
            expected = get_prompt_name(prompts, metadata, side)
            assert find_prompt(prompts, name, task_type, side and side.value) == expected


def test_prompts_of_the_files_follow_task_and_side(hybrid_folder, tmp_path) -> None:
    folder = tmp_path / "prompted"
    shutil.copytree(hybrid_folder, folder)
    file = folder / "config_sentence_transformers.json"
    settings = json.loads(file.read_text()) | {
        "prompts": {"query": "how to ", "STS": "a map ", "MockRetrievalTask-query": "what is "}
    }
    file.write_text(json.dumps(settings))
    prompted, plain = mteb_model(folder), mteb_model(hybrid_folder)
    cases = (
        (MockSTSTask, None, "a map "),
        (MockRetrievalTask, PromptType.query, "what is "),
        (MockRetrievalTask, PromptType.document, ""),
        (MockRetrievalDialogTask, PromptType.query, "how to "),
    )
    for task, side, expected in cases:
        options = {"task_metadata": task.metadata, "prompt_type": side}
        found = prompted.encode([{"text": ["bread", "sea"]}], **options)
        texts = [expected + "bread", expected + "sea"]
        assert found == pytest.approx(plain.encode([{"text": texts}], **options), abs=1e-6)
    assert prompted.mteb_model_meta.use_instructions
    assert prompted.mteb_model_meta.experiment_name is None


def test_similarities_are_cosines_of_rows_and_pairs(hybrid_folder) -> None:
    model = mteb_model(hybrid_folder)
    random = np.random.default_rng(0)
    a, b = (random.normal(size=(3, 8)).astype(np.float32) for _ in range(2))
    unit_a, unit_b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    assert model.similarity(a, b).numpy() == pytest.approx(unit_a @ unit_b.T, abs=1e-6)
    pairs = model.similarity_pairwise(a, b).numpy()
    assert pairs == pytest.approx((unit_a * unit_b).sum(axis=1), abs=1e-6)
    assert float(model.similarity(a[0], b[0])) == pytest.approx(float(pairs[0]), abs=1e-6)


def test_what_differs_is_kept_apart(hybrid_folder, reranker_folder) -> None:
    models = [
        mteb_model(hybrid_folder),
        mteb_model(hybrid_folder, width=16),
        mteb_model(hybrid_folder, prompts={"STS": "a "}),
        mteb_model(hybrid_folder, variant="sparse"),
        mteb_model(hybrid_folder, variant="hybrid"),
        mteb_model(hybrid_folder, variant="reranked", reranker=reranker_folder),
    ]
    metas = [model.mteb_model_meta for model in models]
    assert len({meta.experiment_name for meta in metas}) == len(models)
    assert len({(meta.name, meta.revision) for meta in metas}) == 1
    plain = metas[0]
    assert plain.experiment_name is None
    assert plain.revision.startswith("sha256-")
    assert (plain.max_tokens, plain.embed_dim, metas[1].embed_dim) == (64, 32, 16)
    assert plain.similarity_fn_name.value == "cosine"
    assert plain.framework == ["PyTorch"]
    assert plain.n_parameters > plain.n_embedding_parameters > 0


def test_the_card_of_a_bundled_model_is_read() -> None:
    meta = mteb_model("mgte-nano").mteb_model_meta
    assert (meta.name, meta.license, meta.embed_dim) == ("mgte/mgte-nano", "apache-2.0", 384)


def test_names_are_made_organisation_and_model(tmp_path) -> None:
    (tmp_path / "my model").mkdir()
    assert organised_name("gte-multilingual-base") == "Alibaba-NLP/gte-multilingual-base"
    assert organised_name("intfloat/e5-base") == "intfloat/e5-base"
    assert organised_name("st:intfloat/e5-base") == "intfloat/e5-base"
    assert organised_name("http://localhost:8080/v1#some model") == "server/some-model"
    assert organised_name("http://localhost:8080/") == "server/localhost-8080"
    assert organised_name(str(tmp_path / "my model")) == "local/my-model"
    commit = "0123456789abcdef0123456789abcdef01234567"
    assert hub_commit(tmp_path / "models--a--b" / "snapshots" / commit) == commit
    assert hub_commit(tmp_path / "snapshots" / "latest") is None


def test_what_a_model_cannot_do_is_refused(dense_folder, hybrid_folder) -> None:
    for variant in ("sparse", "hybrid"):
        with pytest.raises(ConfigError, match="needs sparse token weights"):
            mteb_model(dense_folder, variant=variant)
    with pytest.raises(ConfigError, match="needs a reranker"):
        mteb_model(hybrid_folder, variant="reranked")
    with pytest.raises(ConfigError, match="width: got 33, expected 1 to 32"):
        mteb_model(hybrid_folder, width=33)
    with pytest.raises(ConfigError, match="variant: got 'colbert'"):
        mteb_model(hybrid_folder, variant="colbert")


@pytest.mark.parametrize("variant", ["sparse", "reranked"])
def test_models_without_dense_vectors_run_searches(variant) -> None:
    encoder = HashEncoder(has_dense=False, name="splade")
    subject = Subject(encoder=encoder, reranker=WordScorer())
    model = mteb_model(subject, variant=variant, width=7)
    assert failures(model) == {}
    assert model.mteb_model_meta.embed_dim is None
    experiment = model.mteb_model_meta.experiment_kwargs
    assert experiment["variant"] == variant
    assert "width" not in experiment
    assert "sparse_weight" not in experiment


def test_models_without_dense_vectors_are_refused_elsewhere() -> None:
    subject = Subject(encoder=HashEncoder(has_dense=False, name="splade"))
    with pytest.raises(ConfigError, match="mteb_model: got splade, which has no dense vectors"):
        mteb_model(subject)
    with pytest.raises(ConfigError, match="'hybrid' needs dense vectors, and splade has no dense"):
        mteb_model(subject, variant="hybrid")
    with pytest.raises(ConfigError, match="splade has no dense vectors"):
        MtebEncoder(subject.encoder)


def test_the_first_stage_is_kept_apart() -> None:
    subject = Subject(encoder=HashEncoder(), reranker=WordScorer())
    kept = []
    for stage in ("", "bm25", "dense"):
        config = RetrievalConfig(first_stage=stage)
        meta = mteb_model(subject, variant="reranked", config=config).mteb_model_meta
        kept.append(dict(meta.experiment_kwargs))
    assert "first_stage" not in kept[0]
    assert "sparse_weight" in kept[0]
    assert [one["first_stage"] for one in kept[1:]] == ["bm25", "dense"]
    assert all("sparse_weight" not in one for one in kept[1:])


def test_wrong_input_is_named(hybrid_folder) -> None:
    task = MockRetrievalTask()
    task.load_data()
    with pytest.raises(DataError, match="the candidate d7 is not among the documents"):
        searched(mteb_model(hybrid_folder, variant="hybrid"), task, {"q1": ["d7"]})
    with pytest.raises(DataError, match="got a batch of image, expected text"):
        mteb_model(hybrid_folder).encode([{"image": []}], task_metadata=task.metadata)


def test_loaded_models_are_taken_as_they_are(hybrid_folder, reranker_folder) -> None:
    by_name = mteb_model(hybrid_folder).mteb_model_meta
    loaded = mteb_model(Embedder.load(str(hybrid_folder))).mteb_model_meta
    assert by_name == loaded
    reranker = mteb_model(Reranker.load(str(reranker_folder)))
    assert reranker.mteb_model_meta.is_cross_encoder
