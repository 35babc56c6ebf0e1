"""Rows of collections under the field names that published datasets use."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mgte.errors import DataError
from mgte.text import Document, Qrels, Query, file_format, read_qrels, read_records

Record = Mapping[str, Any]
Wanted = Callable[[Record], bool]

_DOCUMENT_IDS = ("_id", "id", "docid", "doc_id", "pid")
_DOCUMENT_TEXTS = ("text", "content", "passage")
_QUERY_IDS = ("_id", "id", "query_id", "qid")
_QUERY_TEXTS = ("text", "query", "question")
_JUDGED_QUERIES = ("query-id", "query_id", "qid")
_JUDGED_DOCUMENTS = ("corpus-id", "corpus_id", "doc_id", "docid", "pid")
_GRADES = ("score", "relevance")


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What a layout gives, before it is put together.

    Attributes:
        documents: Documents.
        queries: Queries.
        qrels: Query id to document id to grade; empty where there are answers instead.
        excluded: Query id to ids of documents that are never ranked for it.
        answers: Query id to strings that answer it.
    """

    documents: Iterable[Document]
    queries: Iterable[Query]
    qrels: Qrels
    excluded: Mapping[str, Sequence[str]] = field(default_factory=dict)
    answers: Mapping[str, Sequence[str]] = field(default_factory=dict)


def read_tables(files: Iterable[Path], columns: Sequence[str]) -> Iterator[tuple[str, Record]]:
    """Rows of JSONL, CSV, TSV or Parquet files, one file after another.

    Args:
        files: The files.
        columns: Columns that Parquet files are read for.

    Yields:
        Place and row.

    Raises:
        DataError: A file cannot be read, or a row is no object.
    """
    for file in files:
        for where, record in read_records(file, columns=columns):
            if not isinstance(record, dict):
                raise DataError(f"{where}: got no object, expected one with named fields")
            yield where, record


def text_of(record: Record, names: Sequence[str], where: str) -> str:
    """The first of some fields that a row has, as text; numbers are written out.

    Args:
        record: The row.
        names: Fields, the preferred first.
        where: Place of the row, for the message.

    Returns:
        What stands there.

    Raises:
        DataError: There is none of the fields, or it holds no text.
    """
    for name in names:
        value = record.get(name)
        if isinstance(value, str):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
    raise DataError(f"{where}: no text in {' or '.join(f'`{name}`' for name in names)}")


def texts_of(record: Record, name: str, where: str) -> list[str]:
    """A field that holds a list of texts.

    Args:
        record: The row.
        name: The field; absent or null means an empty list.
        where: Place of the row, for the message.

    Returns:
        The texts.

    Raises:
        DataError: It holds something else.
    """
    values = record.get(name)
    if values is None:
        return []
    if not isinstance(values, list) or not all(isinstance(v, str | int) for v in values):
        raise DataError(f"{where}: field `{name}` is no list of strings")
    return [str(value) for value in values]


def read_documents(files: Iterable[Path], *, wanted: Wanted | None = None) -> Iterator[Document]:
    """Documents of tables.

    Args:
        files: The files.
        wanted: Which rows; None means all.

    Yields:
        Documents; a title that is missing or null is empty.

    Raises:
        DataError: A row has no id or no text.
    """
    columns = [*_DOCUMENT_IDS, *_DOCUMENT_TEXTS, "title", *_FILTERS]
    for where, record in read_tables(files, columns):
        if wanted is None or wanted(record):
            yield Document(
                doc_id=text_of(record, _DOCUMENT_IDS, where),
                text=text_of(record, _DOCUMENT_TEXTS, where),
                title=record.get("title") or "",
            )


def read_asked(
    files: Iterable[Path], *, wanted: Wanted | None = None, language: str = ""
) -> Iterator[Query]:
    """Queries of tables.

    Args:
        files: The files.
        wanted: Which rows; None means all.
        language: Their language, if known.

    Yields:
        Queries.

    Raises:
        DataError: A row has no id or no text.
    """
    for where, record in read_tables(files, [*_QUERY_IDS, *_QUERY_TEXTS, *_FILTERS]):
        if wanted is None or wanted(record):
            yield Query(
                query_id=text_of(record, _QUERY_IDS, where),
                text=text_of(record, _QUERY_TEXTS, where),
                language=language,
            )


def read_judgements(files: Sequence[Path], *, wanted: Wanted | None = None) -> Qrels:
    """Judgements of BEIR or TREC files, or of tables.

    Args:
        files: The files.
        wanted: Which rows of tables; None means all.

    Returns:
        Query id to document id to grade; a row without a grade is relevant.

    Raises:
        DataError: A row is not as described.
    """
    qrels: Qrels = {}
    for file in files:
        if file_format(file) in ("tsv", "text"):
            for query_id, grades in read_qrels(file).items():
                qrels.setdefault(query_id, {}).update(grades)
            continue
        columns = [*_JUDGED_QUERIES, *_JUDGED_DOCUMENTS, *_GRADES, *_FILTERS]
        for where, record in read_tables([file], columns):
            if wanted is None or wanted(record):
                query_id = text_of(record, _JUDGED_QUERIES, where)
                doc_id = text_of(record, _JUDGED_DOCUMENTS, where)
                qrels.setdefault(query_id, {})[doc_id] = _grade(record, where)
    return qrels


def _grade(record: Record, where: str) -> int:
    value = next((record[name] for name in _GRADES if record.get(name) is not None), 1)
    try:
        grade = float(value)
    except (TypeError, ValueError):
        grade = 0.5
    if grade != int(grade):
        raise DataError(f"{where}: grade `{value}` is no whole number")
    return int(grade)


# Fields by which rows are chosen: read from Parquet beside those that are taken.
_FILTERS = ("dataset", "context_length", "partition")
