"""Every layout is read to the documents, queries and judgements that stand in it."""

import gzip
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants

from mgte.errors import ConfigError, DataError
from mgte.evaluate.collections import CollectionConfig, DatasetFiles, load_collection


def write(path: Path, rows) -> None:
    """JSONL, also compressed, or Parquet, by the suffix; text as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(arrow.Table.from_pylist(rows), path)
        return
    text = rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")


def load(root: Path, **settings):
    return load_collection(CollectionConfig(**settings), DatasetFiles(root))


def told(collection):
    """Texts by id, queries by id, judgements."""
    documents = {document.doc_id: document.full_text for document in collection.documents}
    return documents, {q.query_id: q.text for q in collection.queries}, collection.qrels


CORPUS = [
    {"_id": "d1", "title": "Tide", "text": "the moon"},
    {"_id": "d2", "title": None, "text": "bread"},
]
ASKED = [
    {"_id": "q1", "text": "moon?"},
    {"_id": "q2", "text": "bread?"},
    {"_id": "q3", "text": "?"},
]
EXPECTED = (
    {"d2": "bread", "d1": "Tide the moon"},
    {"q1": "moon?", "q2": "bread?"},
    {"q1": {"d1": 2}, "q2": {"d2": 1, "d1": 0}},
)
TSV = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq2\td2\t1\nq2\td1\t0\n"
TABLE = [
    {"query-id": "q1", "corpus-id": "d1", "score": 2},
    {"query-id": "q2", "corpus-id": "d2", "score": 1.0},
    {"query-id": "q2", "corpus-id": "d1", "score": 0},
]


def test_beir_with_judgements_in_a_dataset_of_their_own(tmp_path) -> None:
    write(tmp_path / "BeIR/fish/corpus.jsonl.gz", CORPUS)
    write(tmp_path / "BeIR/fish/queries.jsonl.gz", ASKED)
    write(tmp_path / "BeIR/fish-qrels/test.tsv", TSV)
    collection = load(tmp_path, layout="beir", data="BeIR/fish", queries="BeIR/fish-qrels")
    assert told(collection) == EXPECTED
    assert (collection.name, collection.split) == ("fish", "test")


def test_beir_as_an_archive_of_its_authors(tmp_path) -> None:
    write(tmp_path / "fish/corpus.jsonl", CORPUS)
    write(tmp_path / "fish/queries.jsonl", ASKED)
    write(tmp_path / "fish/qrels/test.tsv", TSV)
    collection = load(tmp_path, layout="beir", data="BeIR/fish", queries="BeIR/fish-qrels")
    assert told(collection) == EXPECTED


def test_parquet_of_the_hub(tmp_path) -> None:
    write(tmp_path / "mteb/fish/corpus/corpus-00000-of-00001.parquet", CORPUS)
    write(tmp_path / "mteb/fish/queries/queries-00000-of-00001.parquet", ASKED)
    write(tmp_path / "mteb/fish/data/test-00000-of-00001.parquet", TABLE)
    assert told(load(tmp_path, layout="beir", data="mteb/fish")) == EXPECTED


def test_coir_with_titles_and_without(tmp_path) -> None:
    folder = tmp_path / "CoIR-Retrieval"
    write(folder / "apps-queries-corpus/data/corpus-00000-of-00001.parquet", CORPUS)
    write(folder / "apps-queries-corpus/data/queries-00000-of-00001.parquet", ASKED)
    rows = [{key.replace("-", "_"): value for key, value in row.items()} for row in TABLE]
    write(folder / "apps-qrels/data/test-00000-of-00001.parquet", rows)
    settings = {
        "layout": "beir",
        "data": "CoIR-Retrieval/apps-queries-corpus",
        "queries": "CoIR-Retrieval/apps-qrels",
    }
    assert told(load(tmp_path, **settings)) == EXPECTED
    documents, *rest = told(load(tmp_path, **settings, join_titles=False))
    assert documents == {"d2": "bread", "d1": "the moon"}
    assert rest == list(EXPECTED[1:])


def test_a_subset_has_files_of_its_own(tmp_path) -> None:
    for subset, text in (("go", "in go"), ("php", "in php")):
        write(tmp_path / f"code/{subset}-corpus/a.parquet", [{"_id": "c", "text": text}])
        write(tmp_path / f"code/{subset}-queries/a.parquet", [{"_id": "q", "text": "?"}])
        write(tmp_path / f"code/{subset}-qrels/test.parquet", [TABLE[0] | {"query-id": "q"}])
    with pytest.raises(DataError, match="code-go/test: judgements name the document d1"):
        load(tmp_path, layout="beir", data="code", subset="go")
    write(tmp_path / "code/php-qrels/test.parquet", [{"query_id": "q", "corpus_id": "c"}])
    documents, _, qrels = told(load(tmp_path, layout="beir", data="code", subset="php"))
    assert (documents, qrels) == ({"c": "in php"}, {"q": {"c": 1}})


def test_miracl(tmp_path) -> None:
    for number, name in enumerate(("a", "b")):
        write(
            tmp_path / f"miracl/miracl-corpus/miracl-corpus-v1.0-sw/docs-{number}.jsonl.gz",
            [{"docid": f"{name}#0", "title": name, "text": f"text of {name}"}],
        )
    folder, name = tmp_path / "miracl/miracl/miracl-v1.0-sw", "miracl-v1.0-sw-dev.tsv"
    write(folder / f"topics/topics.{name}", "7\twapi?\n8\tnini, wapi?\n")
    write(folder / f"qrels/qrels.{name}", "7\tQ0\ta#0\t1\n7\tQ0\tb#0\t0\n8\tQ0\tb#0\t1\n")
    settings = {"layout": "miracl", "data": "miracl/miracl-corpus", "queries": "miracl/miracl"}
    collection = load(tmp_path, **settings, subset="sw", split="dev")
    assert told(collection) == (
        {"b#0": "b text of b", "a#0": "a text of a"},
        {"7": "wapi?", "8": "nini, wapi?"},
        {"7": {"a#0": 1, "b#0": 0}, "8": {"b#0": 1}},
    )
    assert {query.language for query in collection.queries} == {"sw"}
    with pytest.raises(ConfigError, match="the layout 'miracl' needs a subset"):
        load(tmp_path, **settings)


def test_mldr(tmp_path) -> None:
    folder = tmp_path / "Shitao/MLDR/mldr-v1.0-de"
    passages = [{"docid": "x1", "text": "lang"}]
    write(folder / "corpus.jsonl.gz", [*passages, {"docid": "x2", "text": "länger"}])
    row = {"query_id": "q", "query": "was?", "positive_passages": passages}
    write(folder / "test.jsonl.gz", [row | {"negative_passages": []}])
    assert told(load(tmp_path, layout="mldr", data="Shitao/MLDR", subset="de")) == (
        {"x2": "länger", "x1": "lang"},
        {"q": "was?"},
        {"q": {"x1": 1}},
    )


def test_loco(tmp_path) -> None:
    documents = [
        {"dataset": "qmsum", "pid": "p1", "passage": "meeting"},
        {"dataset": "qmsum", "pid": "p2", "passage": None},
        {"dataset": "gov_report", "pid": "p3", "passage": "report"},
    ]
    queries = [
        {"dataset": "qmsum", "qid": "q1", "query": "who?", "answer_pids": ["p1"]},
        {"dataset": "qmsum", "qid": "q2", "query": "lost", "answer_pids": ["p2"]},
        {"dataset": "gov_report", "qid": "q3", "query": "what?", "answer_pids": ["p3"]},
    ]
    write(tmp_path / "documents/data/test-00000.parquet", documents)
    write(tmp_path / "queries/data/test-00000.parquet", queries)
    settings = {"layout": "loco", "data": "documents", "queries": "queries"}
    expected = ({"p1": "meeting"}, {"q1": "who?"}, {"q1": {"p1": 1}})
    assert told(load(tmp_path, **settings, subset="qmsum")) == expected
    with pytest.raises(DataError, match="holds no documents of 'qasper'"):
        load(tmp_path, **settings, subset="qasper")


def test_loco_may_have_a_file_per_task(tmp_path) -> None:
    for task in ("qmsum", "gov_report"):
        document = {"dataset": task, "pid": f"{task}_Passage_0", "passage": "text"}
        query = {"dataset": task, "qid": f"{task}_Query_0", "query": "?"}
        answers = {"answer_pids": [f"{task}_Passage_0"]}
        write(tmp_path / f"LoCoV1-Documents/documents/{task}_test.jsonl", [document])
        write(tmp_path / f"LoCoV1-Queries/documents/{task}_test.jsonl", [query | answers])
    settings = {"data": "LoCoV1-Documents", "queries": "LoCoV1-Queries", "subset": "qmsum"}
    expected = ({"qmsum_Passage_0": "text"}, {"qmsum_Query_0": "?"})
    assert told(load(tmp_path, layout="loco", **settings))[:2] == expected


def test_bright_leaves_excluded_documents_out(tmp_path) -> None:
    folder = tmp_path / "BRIGHT"
    rows = [{"id": f"d{n}", "content": f"text {n}"} for n in range(4)]
    write(folder / "documents/pony-00000-of-00001.parquet", rows)
    write(folder / "long_documents/pony-00000-of-00001.parquet", [{"id": "p", "content": "page"}])
    example = {"id": "0", "query": "?", "gold_ids": ["d1"], "gold_ids_long": ["p"]}
    examples = [
        example | {"excluded_ids": ["d0", "d3", "gone"]},
        example | {"id": "1", "excluded_ids": ["N/A"]},
    ]
    write(folder / "examples/pony-00000-of-00001.parquet", examples)
    settings = {"layout": "bright", "data": "BRIGHT", "subset": "pony"}
    collection = load(tmp_path, **settings, split="standard")
    assert collection.left_out("0") == {"d0", "d3"}
    assert collection.left_out("1") == set()
    assert collection.num_left_out == 2
    assert collection.qrels == {"0": {"d1": 1}, "1": {"d1": 1}}
    assert told(load(tmp_path, **settings, split="long"))[2] == {"0": {"p": 1}, "1": {"p": 1}}
    write(folder / "examples/pony-00000-of-00001.parquet", [example | {"excluded_ids": ["d1"]}])
    with pytest.raises(DataError, match="document d1 is both relevant to and excluded for"):
        load(tmp_path, **settings, split="standard")


def test_longembed_takes_the_texts_of_one_length(tmp_path) -> None:
    folder = tmp_path / "LongEmbed/needle"
    lengths = (256, 512)
    texts = [{"doc_id": f"d{n}", "text": f"t{n}", "context_length": n} for n in lengths]
    write(folder / "corpus.jsonl", texts)
    asked = [{"qid": f"q{n}", "text": f"?{n}", "context_length": n} for n in lengths]
    write(folder / "queries.jsonl", asked)
    write(folder / "qrels.jsonl", [{"qid": f"q{n}", "doc_id": f"d{n}"} for n in lengths])
    settings = {"layout": "longembed", "data": "dwzhu/LongEmbed", "subset": "needle"}
    assert len(load(tmp_path, **settings).documents) == 2
    expected = ({"d512": "t512"}, {"q512": "?512"}, {"q512": {"d512": 1}})
    assert told(load(tmp_path, **settings, split="test_512")) == expected


MKQA = [
    {
        "example_id": 5,
        "queries": {"de": "wo?", "en": "where?"},
        "answers": {"en": [{"type": "entity", "text": "Rome", "aliases": ["Roma"]}]},
    },
    {
        "example_id": 6,
        "queries": {"de": "ob?", "en": "whether?"},
        "answers": {"en": [{"type": "binary", "text": "yes"}]},
    },
]


@pytest.mark.parametrize("form", ["folder", "archive", "own"])
def test_mkqa(tmp_path, form) -> None:
    write(tmp_path / "BeIR/nq/corpus.jsonl.gz", CORPUS)
    rows = [{"id": "5", "question": "wo?", "answers": ["Rome", "Roma"]}]
    if form == "folder":
        write(tmp_path / "qa/de.jsonl", rows)
    elif form == "own":
        write(tmp_path / "qa/mkqa.jsonl.gz", MKQA)
    else:
        (tmp_path / "qa").mkdir()
        with zipfile.ZipFile(tmp_path / "qa/MKQA_test-data.zip", "w") as archive:
            archive.writestr("qa_data/de.jsonl", json.dumps(rows[0]) + "\n")
    settings = {"layout": "mkqa", "data": "BeIR/nq", "queries": "qa"}
    collection = load(tmp_path, **settings, subset="de")
    assert collection.answers == {"de:5": ("Rome", "Roma")}
    assert [(q.text, q.language) for q in collection.queries] == [("wo?", "de")]
    assert [document.doc_id for document in collection.documents] == ["d2", "d1"]
    with pytest.raises(DataError, match="fr"):
        load(tmp_path, **settings, subset="fr")


def test_the_hub_is_asked_for_what_is_not_here(tmp_path, monkeypatch) -> None:
    cache = tmp_path / "cache"
    snapshot = cache / "datasets--BeIR--fish" / "snapshots" / ("a" * 40)
    write(snapshot / "corpus.jsonl.gz", CORPUS)
    write(snapshot / "queries.jsonl.gz", ASKED)
    write(snapshot / "qrels/test.tsv", TSV)
    write(cache / "datasets--BeIR--fish" / "refs" / "main", "a" * 40)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    config = CollectionConfig(layout="beir", data="BeIR/fish")
    assert told(load_collection(config, DatasetFiles(offline=True))) == EXPECTED
    for name, message in (
        ("BeIR/meat", "BeIR/meat: no such folder, not in the hub cache"),
        ("a/b/c", "and not a valid hub id"),
    ):
        with pytest.raises(DataError, match=message):
            load_collection(replace(config, data=name), DatasetFiles(offline=True))


@pytest.mark.parametrize(
    ("file", "rows", "message"),
    [
        ("corpus.jsonl", [{"_id": "d1"}], r"corpus.jsonl:1: no text in `text` or `content`"),
        ("queries.jsonl", [{"text": "?"}], r"queries.jsonl:1: no text in `_id` or `id`"),
        ("corpus.jsonl", ["d1"], r"corpus.jsonl:1: got no object"),
        ("corpus.jsonl", [CORPUS[0], CORPUS[0]], "document id `d1` stands twice"),
        ("test.jsonl", [TABLE[0] | {"score": "high"}], "grade `high` is no whole number"),
        ("test.jsonl", [TABLE[0] | {"query-id": "q9"}], "judgements name the query q9"),
    ],
)
def test_a_bad_row_is_named(tmp_path, file, rows, message) -> None:
    for name, content in (("corpus", CORPUS), ("queries", ASKED), ("test", TABLE)):
        write(tmp_path / f"fish/{name}.jsonl", content)
    write(tmp_path / "fish" / file, rows)
    with pytest.raises(DataError, match=message):
        load(tmp_path, layout="beir", data="fish")


def test_a_file_that_is_not_there_is_named(tmp_path) -> None:
    write(tmp_path / "fish/corpus.jsonl", CORPUS)
    with pytest.raises(DataError, match=r"fish: .*fish has none of the files queries\.jsonl"):
        load(tmp_path, layout="beir", data="fish")


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="got both subset and subsets"):
        CollectionConfig(layout="mkqa", data="x", subset="de", subsets=("fr",))
    with pytest.raises(ConfigError, match="max_queries: got -1"):
        CollectionConfig(layout="beir", data="x", max_queries=-1)
