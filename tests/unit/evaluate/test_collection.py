"""What a collection refuses, and what limits leave."""

import pytest

from mgte.errors import ConfigError, DataError
from mgte.evaluate import make_collection, read_collection
from mgte.text import Document, Query

DOCUMENTS = [Document(doc_id=f"d{i}", text=f"text {i}") for i in range(6)]
QUERIES = [Query(query_id=f"q{i}", text=f"query {i}") for i in range(4)]


def test_a_folder_is_read_as_it_stands(beir_folder) -> None:
    collection = read_collection(beir_folder)
    assert (collection.name, collection.split) == ("small", "test")
    # The query without judgements is left out; documents stand by falling id.
    assert [query.query_id for query in collection.queries] == ["q1", "q2", "q3"]
    assert [d.doc_id for d in collection.documents] == ["d5", "d4", "d3", "d2", "d1"]
    assert collection.documents[-1].full_text == "tide the moon is for the sea"


@pytest.mark.parametrize(
    ("qrels", "message"),
    [
        ({"q0": {"d0": 1, "d9": 1}}, "judgements name the document d9, which is not there"),
        ({"q9": {"d0": 1}}, "judgements name the query q9, which is not there"),
        ({}, "no query has a judgement"),
        ({"q0": {"d0": 0, "d1": -1}}, "no document is judged relevant"),
    ],
)
def test_judgements_must_fit(qrels, message) -> None:
    with pytest.raises(DataError, match=message):
        make_collection(DOCUMENTS, QUERIES, qrels, name="made")


def test_ids_stand_once() -> None:
    with pytest.raises(DataError, match="made/test: document id `d0` stands twice"):
        make_collection([*DOCUMENTS, DOCUMENTS[0]], QUERIES, {"q0": {"d0": 1}}, name="made")
    with pytest.raises(DataError, match="made/test: query id `q0` stands twice"):
        make_collection(DOCUMENTS, [*QUERIES, QUERIES[0]], {"q0": {"d0": 1}}, name="made")


def test_an_empty_collection_is_refused() -> None:
    with pytest.raises(DataError, match="holds no documents"):
        make_collection([], QUERIES, {"q0": {"d0": 1}}, name="made")


def test_limits_keep_judged_documents_and_are_repeatable() -> None:
    qrels = {f"q{i}": {f"d{i}": 1} for i in range(4)}
    first, second = (
        make_collection(DOCUMENTS, QUERIES, qrels, name="made", limits=(2, 1)) for _ in range(2)
    )
    assert first.documents == second.documents
    assert first.queries == second.queries
    assert (len(first.queries), len(first.documents)) == (2, 3)
    judged = {doc_id for grades in first.qrels.values() for doc_id in grades}
    assert judged <= {document.doc_id for document in first.documents}


def test_a_pattern_chooses_documents(beir_folder) -> None:
    with pytest.raises(DataError, match="no document id matches 'x-\\*'"):
        read_collection(beir_folder, document_ids="x-*")
    with pytest.raises(DataError, match="judgements name the document"):
        read_collection(beir_folder, document_ids="d[45]")


def test_a_folder_that_is_not_there_is_told(tmp_path) -> None:
    with pytest.raises(DataError, match="absent: no such folder, expected a BEIR folder"):
        read_collection(tmp_path / "absent")


def test_an_unknown_rule_for_own_documents_is_refused() -> None:
    with pytest.raises(ConfigError, match="own_documents: got 'same'"):
        make_collection(DOCUMENTS, QUERIES, {"q1": {"d1": 1}}, name="x", own_documents="same")
