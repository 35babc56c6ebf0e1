"""Layouts: where published collections keep documents, queries and judgements.

A layout is a function from the settings to `Parts`. Datasets that are fetched are never run.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from mgte.errors import ConfigError, DataError
from mgte.evaluate.collections.answers import read_mkqa
from mgte.evaluate.collections.config import CollectionConfig, Layout
from mgte.evaluate.collections.files import DatasetFiles
from mgte.evaluate.collections.tables import (
    Parts,
    Record,
    Wanted,
    read_asked,
    read_documents,
    read_judgements,
    read_tables,
    text_of,
    texts_of,
)
from mgte.text import Document, Qrels, Query, read_records

Reader = Callable[[CollectionConfig, DatasetFiles], Parts]


def read_parts(config: CollectionConfig, files: DatasetFiles) -> Parts:
    """Documents, queries and judgements of a collection.

    Args:
        config: Which one.
        files: Where datasets are.

    Returns:
        The parts; documents are read when they are asked for.

    Raises:
        DataError: A dataset or file is not there, or a row is not as the layout says.
    """
    return _READERS[config.layout](config, files)


def _read_beir(config: CollectionConfig, files: DatasetFiles) -> Parts:
    """BEIR folders; BeIR/*, mteb/* and CoIR-Retrieval/* of the hub.

    Judgements stand beside the documents, or in a dataset of their own.
    """
    judged = config.data
    if config.queries and not _has_judgements(config, files):
        judged = config.queries
    revision = config.queries_revision if judged == config.queries else config.revision
    corpus, asked = (_files_of(config, files, part) for part in ("corpus", "queries"))
    found = files.find(judged, list(_judgement_patterns(config)), revision=revision)
    return Parts(
        documents=read_documents(corpus), queries=read_asked(asked), qrels=read_judgements(found)
    )


def _judgement_patterns(config: CollectionConfig) -> Iterator[str]:
    of = f"{config.subset}-" if config.subset else ""
    # MS MARCO's dev split is called "validation" on the hub.
    for split in (config.split, *(("validation",) if config.split == "dev" else ())):
        folders = dict.fromkeys((f"{of}qrels/", "qrels/", ""))
        yield from (f"{folder}{split}.tsv*" for folder in folders)
        yield from (f"{of}qrels/{split}*.parquet", f"{of}qrels/{split}*.jsonl*")
        yield from (f"data/{split}*.parquet", f"default/{split}*.parquet")
        yield from (f"{split}*.jsonl*", f"**/{split}*.parquet")


def _has_judgements(config: CollectionConfig, files: DatasetFiles) -> bool:
    """Whether the local folder of the documents holds judgements too, as BEIR's archives do."""
    folder = files.local_folder(config.data)
    return folder is not None and any(folder.glob(f"qrels/{config.split}.tsv*"))


def _files_of(config: CollectionConfig, files: DatasetFiles, part: str) -> list[Path]:
    of = f"{config.subset}-" if config.subset else ""
    patterns = [
        f"{of}{part}.jsonl*",
        f"{of}{part}/*.parquet",
        f"{of}{part}/*.jsonl*",
        f"data/{of}{part}*.parquet",
        f"**/{of}{part}*.jsonl*",
        f"**/{of}{part}*.parquet",
        f"{of}{part}/**/*.parquet",
    ]
    return files.find(config.data, patterns, revision=config.revision)


def _read_miracl(config: CollectionConfig, files: DatasetFiles) -> Parts:
    """MIRACL: passages of one language in several files; topics and TREC judgements."""
    language, split = _subset(config), config.split
    queries, revision = config.queries or config.data, config.queries_revision
    name = f"miracl-v1.0-{language}"
    documents = files.find(
        config.data, [f"miracl-corpus-v1.0-{language}/docs-*.jsonl*"], revision=config.revision
    )
    topics = files.find(queries, [f"{name}/topics/topics.{name}-{split}.tsv"], revision=revision)
    asked = []
    for where, line in read_records(topics[0], format="text"):
        query_id, tab, text = str(line).partition("\t")
        if not tab:
            raise DataError(f"{where}: got no tab, expected query id and text with one between")
        asked.append(Query(query_id=query_id, text=text, language=language))
    judged = files.find(queries, [f"{name}/qrels/qrels.{name}-{split}.tsv"], revision=revision)
    return Parts(documents=read_documents(documents), queries=asked, qrels=read_judgements(judged))


def _read_mldr(config: CollectionConfig, files: DatasetFiles) -> Parts:
    """MLDR: a corpus per language; queries carry their relevant passages."""
    folder, split = f"mldr-v1.0-{_subset(config)}", config.split
    found = files.find(config.data, [f"{folder}/{split}.jsonl*"], revision=config.revision)
    corpus = files.find(config.data, [f"{folder}/corpus.jsonl*"], revision=config.revision)
    queries, qrels = [], {}
    for where, record in read_tables(found, ["query_id", "query", "positive_passages"]):
        query_id = text_of(record, ("query_id",), where)
        text = text_of(record, ("query",), where)
        queries.append(Query(query_id=query_id, text=text, language=config.subset))
        passages = record.get("positive_passages")
        if not isinstance(passages, list) or not all(isinstance(p, dict) for p in passages):
            raise DataError(f"{where}: field `positive_passages` is no list of objects")
        qrels[query_id] = {text_of(passage, ("docid",), where): 1 for passage in passages}
    return Parts(documents=read_documents(corpus), queries=queries, qrels=qrels)


def _read_loco(config: CollectionConfig, files: DatasetFiles) -> Parts:
    """LoCo: documents of all tasks in one dataset, queries with their answers in another.

    Either is one file, or one per task (`documents/qmsum_test.jsonl` in both). Documents without
    text (in Qasper) are left out, and the queries that ask for them.
    """
    task, split = _subset(config), config.split
    patterns = [
        f"data/{split}*.parquet",
        f"**/{split}*.parquet",
        f"**/{task}_{split}.jsonl*",
        f"**/{split}*.jsonl*",
        "*.jsonl*",
    ]
    found = files.find(config.data, patterns, revision=config.revision)
    documents = [
        Document(doc_id=text_of(record, ("pid",), where), text=record["passage"])
        for where, record in read_tables(found, ["pid", "dataset", "passage"])
        if record.get("dataset") == task and isinstance(record.get("passage"), str)
    ]
    if not documents:
        raise DataError(f"{config.data}: holds no documents of {task!r}, expected some")
    known = {document.doc_id for document in documents}
    found = files.find(config.queries, patterns, revision=config.queries_revision)
    queries: list[Query] = []
    qrels: Qrels = {}
    for where, record in read_tables(found, ["qid", "dataset", "query", "answer_pids"]):
        answers = texts_of(record, "answer_pids", where)
        if record.get("dataset") == task and any(doc_id in known for doc_id in answers):
            query_id = text_of(record, ("qid",), where)
            queries.append(Query(query_id=query_id, text=text_of(record, ("query",), where)))
            qrels[query_id] = {doc_id: 1 for doc_id in answers if doc_id in known}
    return Parts(documents=documents, queries=queries, qrels=qrels)


def _read_bright(config: CollectionConfig, files: DatasetFiles) -> Parts:
    """BRIGHT: per domain, documents, and examples with gold and excluded ids.

    The split "long" searches whole pages; others search passages.
    """
    domain, is_long = _subset(config), config.split == "long"
    kind = "long_documents" if is_long else "documents"
    documents, examples = (
        files.find(
            config.data,
            [f"{part}/{domain}-*.parquet", f"{part}/{domain}.jsonl*", f"{part}/{domain}.parquet"],
            revision=config.revision,
        )
        for part in (kind, "examples")
    )
    gold = "gold_ids_long" if is_long else "gold_ids"
    queries, qrels, excluded = [], {}, {}
    for where, record in read_tables(examples, ["id", "query", gold, "excluded_ids"]):
        query_id = text_of(record, ("id",), where)
        queries.append(Query(query_id=query_id, text=text_of(record, ("query",), where)))
        qrels[query_id] = dict.fromkeys(texts_of(record, gold, where), 1)
        # Domains without any say so by one id, "N/A", which no document has.
        excluded[query_id] = texts_of(record, "excluded_ids", where)
    return Parts(
        documents=read_documents(documents), queries=queries, qrels=qrels, excluded=excluded
    )


def _read_longembed(config: CollectionConfig, files: DatasetFiles) -> Parts:
    """LongEmbed: a folder per task; a split such as "test_4096" takes the texts of that length."""
    task = _subset(config)
    corpus, asked, judged = (
        files.find(
            config.data,
            [f"{task}/{part}.jsonl*", f"{task}/{part}*.parquet"],
            revision=config.revision,
        )
        for part in ("corpus", "queries", "qrels")
    )
    wanted = _of_length(config.split)
    queries = list(read_asked(asked, wanted=wanted))
    known = {query.query_id for query in queries}
    qrels = read_judgements(judged)
    return Parts(
        documents=read_documents(corpus, wanted=wanted),
        queries=queries,
        # Judgements do not always tell their length.
        qrels={query_id: grades for query_id, grades in qrels.items() if query_id in known},
    )


def _of_length(split: str) -> Wanted | None:
    found = re.fullmatch(r"\w+?_(\d+)", split)
    if found is None:
        return None
    length = int(found.group(1))

    def is_wanted(record: Record) -> bool:
        return record.get("context_length") == length

    return is_wanted


def _subset(config: CollectionConfig) -> str:
    if not config.subset:
        raise ConfigError(f"{config.data}: the layout {config.layout!r} needs a subset, got none")
    return config.subset


_READERS: Mapping[Layout, Reader] = {
    "beir": _read_beir,
    "miracl": _read_miracl,
    "mldr": _read_mldr,
    "mkqa": read_mkqa,
    "loco": _read_loco,
    "bright": _read_bright,
    "longembed": _read_longembed,
}
