"""A collection that is searched in parts gives what it gives as a whole."""

import pytest
from tests.unit.evaluate.test_retrieval import ASKED, DEBATE, WANTED, write_folder

from mgte.errors import ConfigError
from mgte.evaluate import HybridConfig, RetrievalConfig, evaluate_retrieval, read_collection
from mgte.evaluate.subjects import EmbedderSubject
from mgte.inference import Embedder, Reranker


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("dim", [None, 8])
def test_parts_measure_what_the_whole_does(
    tmp_path, hybrid_folder, reranker_folder, size, dim
) -> None:
    folder = write_folder(tmp_path / "debate", DEBATE, ASKED, WANTED)
    collection = read_collection(folder)
    encoder = EmbedderSubject(Embedder.load(str(hybrid_folder)))
    reranker = Reranker.load(str(reranker_folder))
    whole, parts = (
        evaluate_retrieval(
            encoder,
            collection,
            reranker=reranker,
            config=RetrievalConfig(top_k=3, dim=dim, documents_per_part=count),
        )
        for count in (100, size)
    )
    assert list(parts.modes) == ["dense", "sparse", "hybrid", "reranked"]
    for mode, result in whole.modes.items():
        for query_id, values in result.per_query.items():
            assert parts.modes[mode].per_query[query_id] == pytest.approx(values), mode
    assert parts.num_documents_cut == whole.num_documents_cut
    assert set(parts.seconds) == set(whole.seconds)


def test_scores_of_all_documents_cannot_be_computed_in_parts(beir_folder, hybrid_folder) -> None:
    config = RetrievalConfig(hybrid=HybridConfig(missing="computed"), documents_per_part=2)
    embedder = Embedder.load(str(hybrid_folder))
    with pytest.raises(ConfigError, match="got 'computed' for 5 documents, which are searched in"):
        evaluate_retrieval(embedder, beir_folder, config=config)


def test_dense_models_are_searched_in_parts_too(beir_folder, dense_folder) -> None:
    embedder = Embedder.load(str(dense_folder))
    whole, parts = (
        evaluate_retrieval(embedder, beir_folder, config=RetrievalConfig(documents_per_part=count))
        for count in (100, 2)
    )
    assert list(parts.modes) == ["dense"]
    assert parts.metrics == pytest.approx(whole.metrics)
