"""BEIR folders, judgements of BEIR and TREC."""

import gzip
import json
from pathlib import Path

import pytest

from mgte.errors import DataError
from mgte.text import Document, Query, read_corpus, read_qrels, read_queries


def write_folder(folder: Path) -> None:
    corpus = [{"_id": "d1", "title": "Title", "text": "body"}, {"_id": "d2", "text": ""}]
    lines = "".join(json.dumps(row) + "\n" for row in corpus)
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (folder / "queries.jsonl").write_text('{"_id": "q1", "text": "what", "metadata": {}}\n')
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\nq 2\td1\t1.0\n"
    )


def test_a_beir_folder_is_read_compressed_or_not(tmp_path: Path) -> None:
    write_folder(tmp_path)
    documents = list(read_corpus(tmp_path))
    assert documents == [
        Document(doc_id="d1", text="body", title="Title"),
        Document(doc_id="d2", text=""),
    ]
    assert documents[0].full_text == "Title body"
    assert list(read_queries(tmp_path)) == [Query(query_id="q1", text="what")]
    assert read_qrels(tmp_path) == {"q1": {"d1": 2, "d2": 0}, "q 2": {"d1": 1}}
    with pytest.raises(DataError, match=r"no qrels/dev\.tsv \(or compressed\)"):
        read_qrels(tmp_path, split="dev")


def test_trec_judgements(tmp_path: Path) -> None:
    path = tmp_path / "qrels.txt"
    path.write_text("301 0 FBIS3-1 1\n301\t0\tFBIS3-2\t-1\n\n302 Q0 FT-3 0\n")
    assert read_qrels(path) == {"301": {"FBIS3-1": 1, "FBIS3-2": -1}, "302": {"FT-3": 0}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("q1\td1\n", r"qrels\.tsv:1: got 2 columns, expected query id"),
        ("q1\td1\t1\nq1\td1\tx\n", r"qrels\.tsv:2: grade `x` is no whole number"),
        ("q1\td1\t1\nq1\td1\t0.5\n", r"qrels\.tsv:2: grade `0.5` is no whole number"),
        ("q1\td1\t1\nq1\td1\t2\n", r"qrels\.tsv:2: query q1 and document d1 have grade 2, and 1"),
        ("query-id\tcorpus-id\tscore\n", r"qrels\.tsv: holds no judgements"),
    ],
)
def test_faults_in_judgements_name_the_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "qrels.tsv"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_qrels(path)


def test_an_id_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_text('{"_id": "a", "text": "x"}\n{"_id": "a", "text": "y"}\n')
    with pytest.raises(DataError, match=r"corpus\.jsonl:2: id `a` stands twice"):
        list(read_corpus(path))
    with pytest.raises(DataError, match=r"no queries\.jsonl \(or compressed\)"):
        list(read_queries(tmp_path))


def test_a_shared_collection_is_read_whole(shared: Path) -> None:
    folder = shared / "data" / "ir_cranfield"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    documents = {document.doc_id for document in read_corpus(folder)}
    queries = {query.query_id for query in read_queries(folder)}
    qrels = read_qrels(folder)
    assert (len(documents), len(queries)) == (1400, 225)
    assert sum(map(len, qrels.values())) == 1837
    assert set(qrels) <= queries
    assert {doc_id for row in qrels.values() for doc_id in row} <= documents
