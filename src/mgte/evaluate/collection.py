"""Collection: documents, queries and judgements that are measured together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from mgte.data import text_hash
from mgte.errors import ConfigError, DataError
from mgte.text import Document, Qrels, Query, read_corpus, read_qrels, read_queries

# Which documents are the query itself, and so no answer to it: those that have its id, if they have
# its text too ("same-text") or whatever their text is ("same-id"); or none ("none").
OwnDocuments = Literal["same-text", "same-id", "none"]

Item = TypeVar("Item")
_NUM_NAMED = 3


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, weakref_slot=True)
class Collection:
    """A retrieval test.

    Attributes:
        name: Its name.
        split: Which judgements these are.
        documents: Documents by falling id. Equal scores are ranked in this order, which is the
            order in which trec_eval breaks ties.
        queries: Queries with judgements, in the order of their file.
        qrels: Query id to document id to grade.
        own_rows: Query id to the row of the document that is the query itself; it is never ranked.
        excluded_rows: Query id to rows of other documents that are never ranked for it, such as the
            text that the query was made from.
        answers: Query id to strings that answer it, for recall by answer string; empty where
            documents are judged.
    """

    name: str
    split: str
    documents: tuple[Document, ...]
    queries: tuple[Query, ...]
    qrels: Qrels
    own_rows: Mapping[str, int] = field(default_factory=dict)
    excluded_rows: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    answers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def num_left_out(self) -> int:
        """Most documents that are left out of one ranking: searches find as many more."""
        most = max((len(rows) for rows in self.excluded_rows.values()), default=0)
        return most + bool(self.own_rows)

    def left_out_rows(self, query_id: str) -> tuple[int, ...]:
        """Rows of documents that are never ranked for a query."""
        own = self.own_rows.get(query_id)
        return (*self.excluded_rows.get(query_id, ()), *(() if own is None else (own,)))

    def left_out(self, query_id: str) -> frozenset[str]:
        """Ids of documents that are never ranked for a query."""
        return frozenset(self.documents[row].doc_id for row in self.left_out_rows(query_id))


def read_collection(
    folder: str | Path,
    *,
    split: str = "test",
    max_queries: int = 0,
    max_documents: int = 0,
    document_ids: str = "*",
    own_documents: OwnDocuments = "same-text",
    seed: int = 0,
) -> Collection:
    """Read a BEIR folder.

    Args:
        folder: Folder with corpus.jsonl, queries.jsonl and qrels/<split>.tsv, also compressed.
        split: Which judgements.
        max_queries: Queries used at most, drawn at random; 0 means all.
        max_documents: Documents used at most beside the judged ones, drawn at random; 0 means all.
        document_ids: Pattern of the document ids that are searched, such as "de-*".
        own_documents: As in `make_collection`.
        seed: Decides what is drawn.

    Returns:
        The collection; queries without judgements are left out.

    Raises:
        DataError: A file is missing or wrong, an id stands twice, a judgement names a query or
            document that is not there, or nothing is left.
    """
    if not Path(folder).is_dir():
        raise DataError(f"{folder}: no such folder, expected a BEIR folder")
    documents = [d for d in read_corpus(folder) if fnmatchcase(d.doc_id, document_ids)]
    if not documents:
        raise DataError(f"{folder}: no document id matches {document_ids!r}, expected some")
    return make_collection(
        documents,
        read_queries(folder),
        read_qrels(folder, split=split),
        name=Path(folder).resolve().name,
        split=split,
        limits=(max_queries, max_documents),
        own_documents=own_documents,
        seed=seed,
    )


def make_collection(
    documents: Iterable[Document],
    queries: Iterable[Query],
    qrels: Qrels,
    *,
    name: str,
    split: str = "test",
    limits: tuple[int, int] = (0, 0),
    own_documents: OwnDocuments = "same-text",
    seed: int = 0,
) -> Collection:
    """Put documents, queries and judgements together.

    In some collections (ArguAna, Quora, CQADupStack) queries stand among the documents, and every
    search finds the query itself first. So that document is left out of the query's ranking, and
    counts neither as found nor as wrong. Source: BEIR, which ignores identical ids.

    Args:
        documents: Documents.
        queries: Queries; those without judgements are left out.
        qrels: Query id to document id to grade.
        name: Name of the collection.
        split: Name of the judgements.
        limits: Most queries, and most documents beside the judged ones; 0 means all.
        own_documents: Which document is the query itself. "same-text": that of the same id and
            text (but for case, width and white space), unless it is judged relevant. "same-id":
            that of the same id, as BEIR's scripts do; wrong where both are merely numbered.
            "none": nothing is left out.
        seed: Decides what is drawn.

    Returns:
        The collection.

    Raises:
        ConfigError: `own_documents` is unknown.
        DataError: An id stands twice, a judgement names a query or document that is not there, or
            nothing is left.
    """
    if own_documents not in ("same-text", "same-id", "none"):
        raise ConfigError(
            f"own_documents: got {own_documents!r}, expected 'same-text', 'same-id' or 'none'"
        )
    where = f"{name}/{split}"
    by_id = _by_id(((d.doc_id, d) for d in documents), f"{where}: document")
    query_by_id = _by_id(((q.query_id, q) for q in queries), f"{where}: query")
    if not by_id:
        raise DataError(f"{where}: holds no documents, expected at least one")
    _check_known(qrels, query_by_id.keys(), f"{where}: judgements name the query")
    judged = [query for query_id, query in query_by_id.items() if qrels.get(query_id)]
    if not judged:
        raise DataError(f"{where}: no query has a judgement, expected at least one")
    if all(grade <= 0 for grades in qrels.values() for grade in grades.values()):
        raise DataError(f"{where}: no document is judged relevant, expected a grade above 0")
    random = np.random.default_rng(seed)
    max_queries, max_documents = limits
    judged = [judged[row] for row in _drawn(len(judged), max_queries, random)]
    kept_qrels = {query.query_id: dict(qrels[query.query_id]) for query in judged}
    named = {doc_id: None for grades in kept_qrels.values() for doc_id in grades}
    _check_known(named, by_id.keys(), f"{where}: judgements name the document")
    others = sorted(by_id.keys() - named.keys())
    chosen = [*named, *(others[row] for row in _drawn(len(others), max_documents, random))]
    kept_documents = tuple(by_id[doc_id] for doc_id in sorted(chosen, reverse=True))
    return Collection(
        name=name,
        split=split,
        documents=kept_documents,
        queries=tuple(judged),
        qrels=kept_qrels,
        own_rows=_own_rows(kept_documents, judged, kept_qrels, own_documents),
    )


def make_answer_collection(
    documents: Iterable[Document],
    queries: Iterable[Query],
    answers: Mapping[str, Sequence[str]],
    *,
    name: str,
    split: str = "test",
    limits: tuple[int, int] = (0, 0),
    seed: int = 0,
) -> Collection:
    """Put documents and queries together that have answers, but no judgements.

    Args:
        documents: Documents.
        queries: Queries; those without answers are left out.
        answers: Query id to strings that answer it.
        name: Name of the collection.
        split: Name of the part.
        limits: Most queries, and most documents; 0 means all.
        seed: Decides what is drawn.

    Returns:
        The collection; no document of it is judged.

    Raises:
        DataError: An id stands twice, answers name a query that is not there, or nothing is left.
    """
    where = f"{name}/{split}"
    by_id = _by_id(((d.doc_id, d) for d in documents), f"{where}: document")
    query_by_id = _by_id(((q.query_id, q) for q in queries), f"{where}: query")
    if not by_id:
        raise DataError(f"{where}: holds no documents, expected at least one")
    _check_known(answers, query_by_id.keys(), f"{where}: answers name the query")
    asked = [query for query_id, query in query_by_id.items() if answers.get(query_id)]
    if not asked:
        raise DataError(f"{where}: no query has an answer, expected at least one")
    random = np.random.default_rng(seed)
    asked = [asked[row] for row in _drawn(len(asked), limits[0], random)]
    doc_ids = sorted(by_id)
    kept = [doc_ids[row] for row in reversed(_drawn(len(doc_ids), limits[1], random))]
    return Collection(
        name=name,
        split=split,
        documents=tuple(by_id[doc_id] for doc_id in kept),
        queries=tuple(asked),
        qrels={query.query_id: {} for query in asked},
        answers={query.query_id: tuple(answers[query.query_id]) for query in asked},
    )


def collection_hash(collection: Collection) -> str:
    """Hash of all that is searched, asked, judged and left out.

    Args:
        collection: The collection.

    Returns:
        Hexadecimal digits; the same for the same texts and judgements on every machine.
    """
    digest = sha256()
    for document in collection.documents:
        _add(digest, document.doc_id, document.full_text)
    for query in collection.queries:
        _add(digest, query.query_id, query.text)
        for doc_id, grade in sorted(collection.qrels[query.query_id].items()):
            _add(digest, doc_id, str(grade))
        for doc_id in sorted(collection.left_out(query.query_id)):
            _add(digest, "not", doc_id)
        _add(digest, *collection.answers.get(query.query_id, ()))
    return digest.hexdigest()


def _add(digest: Any, *texts: str) -> None:
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little") + encoded)


def _own_rows(
    documents: Iterable[Document], queries: Iterable[Query], qrels: Qrels, rule: OwnDocuments
) -> dict[str, int]:
    """Query id to row of the document that is the query itself."""
    by_id = {query.query_id: query for query in queries} if rule != "none" else {}
    return {
        document.doc_id: row
        for row, document in enumerate(documents)
        if document.doc_id in by_id
        and (rule == "same-id" or _is_itself(document, by_id[document.doc_id], qrels))
    }


def _is_itself(document: Document, query: Query, qrels: Qrels) -> bool:
    wanted = text_hash(query.text)
    has_text = wanted in (text_hash(document.text), text_hash(document.full_text))
    return has_text and qrels[query.query_id].get(document.doc_id, 0) < 1


def _by_id(items: Iterable[tuple[str, Item]], what: str) -> dict[str, Item]:
    found: dict[str, Item] = {}
    for item_id, item in items:
        if item_id in found:
            raise DataError(f"{what} id `{item_id}` stands twice, expected once")
        found[item_id] = item
    return found


def _check_known(named: Iterable[str], known: Iterable[str], what: str) -> None:
    there = set(known)
    unknown = [item_id for item_id in named if item_id not in there]
    if unknown:
        more = f" and {len(unknown) - _NUM_NAMED:,} more" if len(unknown) > _NUM_NAMED else ""
        raise DataError(f"{what} {', '.join(unknown[:_NUM_NAMED])}{more}, which is not there")


def _drawn(count: int, limit: int, random: np.random.Generator) -> list[int]:
    """All of `count` rows, or `limit` of them, ascending."""
    if not 0 < limit < count:
        return list(range(count))
    return sorted(random.choice(count, size=limit, replace=False).tolist())
