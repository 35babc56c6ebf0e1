"""Each way of ranking equals the same scores computed pair by pair."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.unit.evaluate.conftest import write_folder

import mgte
from mgte.errors import ConfigError, DataError
from mgte.evaluate import (
    HybridConfig,
    RetrievalConfig,
    bm25_rankings,
    evaluate_retrieval,
    measure_rankings,
    read_collection,
)
from mgte.inference import Embedder, Reranker


def rankings_of(collection, scores: np.ndarray) -> dict[str, list[str]]:
    """Rankings of a score matrix, documents with -inf left out; ties by falling id."""
    found = {}
    for query, row in zip(collection.queries, scores, strict=True):
        order = [i for i in np.argsort(-row, kind="stable") if row[i] > -np.inf]
        found[query.query_id] = [collection.documents[i].doc_id for i in order]
    return found


def score_matrix(embedder, collection, **weights) -> np.ndarray:
    """Scores of all pairs through `Embedder.score`, which embeds pair by pair."""
    return np.array(
        [
            embedder.score([(q.text, d.full_text) for d in collection.documents], **weights)
            for q in collection.queries
        ]
    )


def test_every_mode_equals_scores_of_pairs(beir_folder, hybrid_folder, reranker_folder) -> None:
    embedder, reranker = Embedder.load(str(hybrid_folder)), Reranker.load(str(reranker_folder))
    collection = read_collection(beir_folder)
    result = evaluate_retrieval(
        embedder,
        beir_folder,
        reranker=reranker,
        config=RetrievalConfig(hybrid=HybridConfig(sparse_weight=0.3)),
    )
    dense = score_matrix(embedder, collection, sparse_weight=0.0)
    sparse = score_matrix(embedder, collection, dense_weight=0.0, sparse_weight=1.0)
    rerank = np.array(
        [
            reranker.predict(
                [(q.text, d.full_text) for d in collection.documents], activation="none"
            )
            for q in collection.queries
        ]
    )
    expected = {
        "dense": dense,
        "sparse": np.where(sparse > 0, sparse, -np.inf),
        "hybrid": dense + 0.3 * sparse,
        "reranked": rerank,
    }
    assert list(result.modes) == list(expected)
    for mode, scores in expected.items():
        measured = measure_rankings(rankings_of(collection, scores), collection.qrels)
        for query_id, values in result.modes[mode].per_query.items():
            assert values == pytest.approx(measured[query_id]), mode
    assert result.metrics["dense"] == pytest.approx(
        np.mean([row["ndcg_at_10"] for row in result.modes["dense"].per_query.values()])
    )
    json.dumps(result.to_dict())


def test_a_dense_model_ranks_by_dense_and_can_be_reranked(
    beir_folder, dense_folder, reranker_folder
) -> None:
    result = mgte.evaluate(dense_folder, beir_folder, reranker=reranker_folder)
    assert list(result.modes) == ["dense", "reranked"]
    assert result.num_queries == 3
    assert list(mgte.evaluate(dense_folder, beir_folder, modes=["bm25"]).modes) == ["bm25"]


def test_reranking_reaches_as_deep_as_asked(beir_folder, dense_folder, reranker_folder) -> None:
    options = {"reranker": reranker_folder, "modes": ["dense", "reranked"]}
    shallow = mgte.evaluate(
        dense_folder, beir_folder, **options, config=RetrievalConfig(rerank_depth=1)
    )
    # One document in a new order is the old order.
    assert shallow.modes["dense"] == shallow.modes["reranked"]
    blended = mgte.evaluate(
        dense_folder, beir_folder, **options, config=RetrievalConfig(rerank_blend=1.0)
    )
    assert blended.modes["dense"] == blended.modes["reranked"]


def test_a_mode_beyond_the_models_is_refused(beir_folder, dense_folder) -> None:
    embedder = Embedder.load(str(dense_folder))
    with pytest.raises(ConfigError, match="'hybrid' needs a model with sparse token weights"):
        evaluate_retrieval(embedder, beir_folder, modes=("hybrid",))
    with pytest.raises(ConfigError, match="'reranked' needs a reranker"):
        evaluate_retrieval(embedder, beir_folder, modes=("reranked",))
    with pytest.raises(ConfigError, match="modes: got 'best'"):
        evaluate_retrieval(embedder, beir_folder, modes=("best",))


def test_nan_is_reported_not_ranked(beir_folder, dense_folder) -> None:
    embedder = Embedder.load(str(dense_folder), backend="torch-eager")
    for parameter in embedder.model.parameters():
        parameter.data.fill_(float("nan"))
    with pytest.raises(DataError, match="row 0 holds NaN"):
        evaluate_retrieval(embedder, beir_folder)


DEBATE = {
    "t1": ("", "the moon is for the sea"),
    "t2": ("tide", "a map to read the road"),
    "t3": ("", "bread and water"),
    "1": ("", "plant light"),
    "5": ("", "water"),
}
# t1 and t2 stand among the documents (as in ArguAna); 1 is another text of the same number; 5 is
# itself what is looked for.
ASKED = {"t1": "The  moon is for the SEA", "t2": "tide a map to read the road", "1": "the moon"}
ASKED |= {"5": "water"}
WANTED = {"t1": {"t3": 1}, "t2": {"t1": 1, "t2": 0}, "1": {"1": 1}, "5": {"5": 1}}


@pytest.mark.parametrize(
    ("rule", "left_out"),
    [("same-text", {"t1", "t2"}), ("same-id", {"t1", "t2", "1", "5"}), ("none", set())],
)
def test_a_query_does_not_find_itself(
    tmp_path, hybrid_folder, reranker_folder, rule, left_out
) -> None:
    folder = write_folder(tmp_path / "debate", DEBATE, ASKED, WANTED)
    embedder, reranker = Embedder.load(str(hybrid_folder)), Reranker.load(str(reranker_folder))
    collection = read_collection(folder, own_documents=rule)
    assert set(collection.own_rows) == left_out
    scores = {
        "dense": score_matrix(embedder, collection, sparse_weight=0.0),
        "sparse": score_matrix(embedder, collection, dense_weight=0.0, sparse_weight=1.0),
        "hybrid": score_matrix(embedder, collection, sparse_weight=0.1),
        "bm25": np.full((4, 5), -np.inf),
    }
    for row, ranking in enumerate(bm25_rankings(replace(collection, own_rows={}), 9)):
        scores["bm25"][row, ranking.rows] = ranking.scores
    scores["sparse"][scores["sparse"] <= 0] = -np.inf
    result = evaluate_retrieval(
        embedder,
        collection,
        reranker=reranker,
        modes=[*scores, "reranked"],
        config=RetrievalConfig(top_k=4),
    )
    for mode, matrix in scores.items():
        for row, query in enumerate(collection.queries):
            for column, document in enumerate(collection.documents):
                if query.query_id in left_out and document.doc_id == query.query_id:
                    matrix[row, column] = -np.inf
        rankings = {q: ids[:4] for q, ids in rankings_of(collection, matrix).items()}
        measured = measure_rankings(rankings, collection.qrels)
        for query_id, values in result.modes[mode].per_query.items():
            assert values == pytest.approx(measured[query_id]), (mode, query_id)
    assert result.num_own_documents == len(left_out)
    for own in left_out & {"1", "5"}:  # what is not ranked cannot be found
        assert result.modes["reranked"].per_query[own]["map"] == 0.0


@pytest.mark.slow
def test_published_figure_of_minilm(shared) -> None:
    if not (shared / "data" / "ir_cranfield").is_dir():
        pytest.skip("no ir_cranfield in the shared folder")
    result = mgte.evaluate("all-minilm-l6-v2", shared / "data" / "ir_cranfield")
    assert result.metrics["dense"] == pytest.approx(0.382, abs=0.002)


def test_the_first_stage_is_what_was_asked_for(
    beir_folder, hybrid_folder, dense_folder, reranker_folder
) -> None:
    embedder, reranker = Embedder.load(str(hybrid_folder)), Reranker.load(str(reranker_folder))
    everything = evaluate_retrieval(
        embedder, beir_folder, modes=("dense", "sparse", "hybrid", "bm25")
    )
    for stage in ("dense", "sparse", "hybrid", "bm25", ""):
        # A blend of 1 keeps the first stage's order, so the reranked ranking shows which it was.
        config = RetrievalConfig(first_stage=stage, rerank_blend=1.0)
        result = evaluate_retrieval(
            embedder, beir_folder, reranker=reranker, modes=("reranked",), config=config
        )
        expected = stage or "hybrid"
        assert result.modes["reranked"] == everything.modes[expected]
        assert result.settings["first_stage"] == expected
    dense = Embedder.load(str(dense_folder))
    with pytest.raises(ConfigError, match="first_stage: 'hybrid' needs a model with sparse"):
        evaluate_retrieval(
            dense,
            beir_folder,
            reranker=reranker,
            modes=("reranked",),
            config=RetrievalConfig(first_stage="hybrid"),
        )
