"""load_collection: a published collection, ready to be measured."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mgte.errors import DataError
from mgte.evaluate.collection import Collection, make_answer_collection, make_collection
from mgte.evaluate.collections.config import CollectionConfig
from mgte.evaluate.collections.files import DatasetFiles
from mgte.evaluate.collections.layouts import read_parts
from mgte.text import Document


def load_collection(
    config: CollectionConfig, files: DatasetFiles, *, name: str = "", seed: int = 0
) -> Collection:
    """Read a published collection.

    Args:
        config: Which one; `subset` says which part of it. The layout "mkqa" takes several
            `subsets`, whose queries then share one corpus.
        files: Where datasets are.
        name: Name of the collection; "" takes the dataset's and the subset's.
        seed: Decides what is drawn.

    Returns:
        The collection, with excluded documents and answers where it has them.

    Raises:
        DataError: The dataset is not there, a row is not as its layout says, or documents,
            queries and judgements do not fit together.
        BackendUnavailableError: Parquet files are met and pyarrow is not installed.
    """
    config = config.resolved
    parts = read_parts(config, files)
    name = name or "-".join(filter(None, [config.data.rpartition("/")[2], config.subset]))
    documents = (
        parts.documents
        if config.join_titles
        else (_without_title(document) for document in parts.documents)
    )
    limits = (config.max_queries, config.max_documents)
    if parts.answers:
        return make_answer_collection(
            documents,
            parts.queries,
            parts.answers,
            name=name,
            split=config.split,
            limits=limits,
            seed=seed,
        )
    collection = make_collection(
        documents,
        parts.queries,
        parts.qrels,
        name=name,
        split=config.split,
        limits=limits,
        own_documents=config.own_documents,
        seed=seed,
    )
    return _with_excluded(collection, parts.excluded) if parts.excluded else collection


def _without_title(document: Document) -> Document:
    return replace(document, title="")


def _with_excluded(collection: Collection, excluded: Mapping[str, Sequence[str]]) -> Collection:
    rows = {document.doc_id: row for row, document in enumerate(collection.documents)}
    found: dict[str, tuple[int, ...]] = {}
    for query in collection.queries:
        named = [doc_id for doc_id in excluded.get(query.query_id, ()) if doc_id in rows]
        wanted = [d for d in named if collection.qrels[query.query_id].get(d, 0) > 0]
        if wanted:
            raise DataError(
                f"{collection.name}: document {wanted[0]} is both relevant to and excluded for "
                f"query {query.query_id}, expected one of the two"
            )
        if named:
            found[query.query_id] = tuple(sorted({rows[doc_id] for doc_id in named}))
    return replace(collection, excluded_rows=found)
