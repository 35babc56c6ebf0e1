"""Reads pairs and groups for mining, and writes groups: JSONL or Parquet, whole or not at all."""

import importlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mgte.data import open_dataset
from mgte.errors import DataError
from mgte.text import (
    RawRecord,
    TrainingGroup,
    import_parquet,
    read_corpus,
    read_qrels,
    read_queries,
    read_records,
    replace_file,
)

GROUP_SUFFIXES = (".jsonl", ".parquet")
# Names that a column may have, by ours.
_QUERY_FIELDS = ("query", "anchor", "question")
_DOCUMENT_FIELDS = ("positives", "pos", "document", "positive")
_NEGATIVE_FIELDS = ("negatives", "neg")
_ROWS_PER_TABLE = 4096
_PREPARED = "manifest.json"


def read_groups(
    path: str | Path,
    *,
    split: str = "train",
    source: str = "",
    fields: Mapping[str, str] | None = None,
) -> list[TrainingGroup]:
    """Queries with their positives, from files of pairs or groups, or from folders.

    Rows with the same query and source become one group. Known negatives stay with it.

    Args:
        path: File with a query and one document, or a list of positives (and of negatives), per
            row; folder made by `mgte data prepare`; or BEIR folder with corpus, queries and qrels.
        split: Judgements of a BEIR folder that are read.
        source: Name of the source of rows that name none; "" means the name of the file.
        fields: Column of `query`, `positives`, `negatives`, `source`, `language`, where it has
            another name than "query", "anchor", "question"; "positives", "pos", "document",
            "positive"; "negatives", "neg"; "source"; "language".

    Returns:
        Groups in the order in which their queries first appear.

    Raises:
        DataError: The file cannot be read, or a row is not as described.
    """
    place = Path(path)
    if not place.exists():
        raise DataError(f"{path}: no such file or folder, expected pairs or groups")
    name = source or place.name.split(".")[0]
    if is_collection(place):
        rows = _beir_rows(place, split)
    elif place.is_dir():
        rows = _prepared_rows(place)
    else:
        rows = _file_rows(place, fields or {})
    merged: dict[tuple[str, str], TrainingGroup] = {}
    for row in rows:
        key = (row.source or name, row.query)
        known = merged.get(key)
        merged[key] = TrainingGroup(
            query=row.query,
            positives=_united(known.positives if known else (), row.positives),
            negatives=_united(known.negatives if known else (), row.negatives),
            source=key[0],
            language=known.language if known else row.language,
        )
    if not merged:
        raise DataError(f"{path}: holds no rows, expected at least one")
    return list(merged.values())


def is_collection(path: str | Path) -> bool:
    """Whether `read_groups` takes a path for a BEIR folder."""
    return Path(path).is_dir() and not (Path(path) / _PREPARED).is_file()


def write_groups(path: str | Path, groups: Sequence[TrainingGroup]) -> None:
    """Write groups; the file appears whole or not at all.

    Args:
        path: Path that ends in .jsonl or .parquet.
        groups: Groups.

    Raises:
        DataError: The path is not one to write to.
        BackendUnavailableError: The package that writes Parquet is absent.
    """
    path = check_group_file(path)
    write = _write_parquet if path.suffix == ".parquet" else _write_jsonl
    replace_file(path, lambda aside: write(aside, groups))


def check_group_file(path: str | Path) -> Path:
    """Check, before hours of work, that groups can be written to a path.

    Args:
        path: Path that ends in .jsonl or .parquet.

    Returns:
        The path.

    Raises:
        DataError: The suffix is unknown, or the folder is absent.
        BackendUnavailableError: The package that writes Parquet is absent.
    """
    path = Path(path)
    if path.suffix not in GROUP_SUFFIXES:
        raise DataError(
            f"{path}: unknown suffix `{path.suffix}`, expected {' or '.join(GROUP_SUFFIXES)}"
        )
    if path.suffix == ".parquet":
        import_parquet(path)
    if not path.parent.is_dir():
        raise DataError(f"{path.parent}: no such folder, expected one to write {path.name} in")
    return path


def _prepared_rows(folder: Path) -> Iterator[TrainingGroup]:
    dataset = open_dataset(folder)
    for start in range(0, dataset.num_rows, _ROWS_PER_TABLE):
        rows = np.arange(start, min(start + _ROWS_PER_TABLE, dataset.num_rows))
        yield from dataset.groups(rows)


def _beir_rows(folder: Path, split: str) -> Iterator[TrainingGroup]:
    documents = {document.doc_id: document for document in read_corpus(folder)}
    qrels = read_qrels(folder, split=split)
    for query in read_queries(folder):
        answers = [doc_id for doc_id, grade in qrels.get(query.query_id, {}).items() if grade > 0]
        unknown = [doc_id for doc_id in answers if doc_id not in documents]
        if unknown:
            raise DataError(
                f"{folder}: judgements name the document {unknown[0]}, which is not there"
            )
        if answers:
            yield TrainingGroup(
                query=query.text,
                positives=tuple(documents[doc_id].full_text for doc_id in answers),
                language=documents[answers[0]].language or "und",
            )


def _file_rows(path: Path, fields: Mapping[str, str]) -> Iterator[TrainingGroup]:
    for place, record in read_records(path):
        if not isinstance(record, dict):
            raise DataError(f"{place}: got no named fields, expected a query and its document")
        row = (place, record)
        positives = _texts(row, fields, "positives", _DOCUMENT_FIELDS)
        queries = _texts(row, fields, "query", _QUERY_FIELDS)
        if len(queries) != 1 or not positives:
            raise DataError(
                f"{place}: got {len(queries)} queries and {len(positives)} positives, expected "
                "one query and at least one positive"
            )
        yield TrainingGroup(
            query=queries[0],
            positives=positives,
            negatives=_texts(row, fields, "negatives", _NEGATIVE_FIELDS, is_optional=True),
            source="".join(_texts(row, fields, "source", ("source",), is_optional=True)),
            language="".join(_texts(row, fields, "language", ("language",), is_optional=True))
            or "und",
        )


def _texts(
    row: RawRecord,
    fields: Mapping[str, str],
    name: str,
    known: Sequence[str],
    *,
    is_optional: bool = False,
) -> tuple[str, ...]:
    """The strings under the first of the known names that the row has."""
    place, record = row
    candidates = (fields[name],) if name in fields else known
    column = next((c for c in candidates if record.get(c) is not None), None)
    if column is None:
        if is_optional:
            return ()
        raise DataError(
            f"{place}: no field {' or '.join(f'`{c}`' for c in candidates)}; fields: "
            f"{', '.join(list(record)[:8])}"
        )
    value: Any = record[column]
    texts = tuple(value) if isinstance(value, list) else (value,)
    if not all(isinstance(text, str) for text in texts):
        raise DataError(f"{place}: field `{column}` holds no string, expected text")
    if not is_optional and not all(text.strip() for text in texts):
        raise DataError(f"{place}: field `{column}` is empty")
    return texts


def _united(known: Iterable[str], new: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*known, *new)))


def _write_jsonl(path: Path, groups: Sequence[TrainingGroup]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for group in groups:
            stream.write(json.dumps(asdict(group), ensure_ascii=False) + "\n")


def _write_parquet(aside: Path, groups: Sequence[TrainingGroup]) -> None:
    parquet = import_parquet(aside)
    pyarrow = importlib.import_module("pyarrow")
    texts, scores = pyarrow.list_(pyarrow.string()), pyarrow.list_(pyarrow.float32())
    schema = pyarrow.schema(
        [
            ("query", pyarrow.string()),
            ("positives", texts),
            ("negatives", texts),
            ("source", pyarrow.string()),
            ("language", pyarrow.string()),
            ("positive_scores", scores),
            ("negative_scores", scores),
        ]
    )
    with parquet.ParquetWriter(aside, schema, compression="zstd") as writer:
        for start in range(0, len(groups), _ROWS_PER_TABLE):
            rows = [asdict(group) for group in groups[start : start + _ROWS_PER_TABLE]]
            writer.write_table(pyarrow.Table.from_pylist(rows, schema=schema))
