"""Reads retrieval collections: BEIR folders, and relevance judgements of BEIR and TREC."""

from collections.abc import Iterator
from pathlib import Path

from mgte.errors import DataError
from mgte.text.files import COMPRESSIONS, place, read_lines
from mgte.text.records import Document, Qrels, Query
from mgte.text.rows import read_rows


def read_corpus(path: str | Path) -> Iterator[Document]:
    """Documents of a BEIR folder (its corpus.jsonl, also compressed), or of any file of rows.

    Args:
        path: Folder, or file with the fields `_id`, `text` and, if there are, `title`, `language`.

    Yields:
        Documents in file order.

    Raises:
        DataError: There is no such file, a row is not as described, or an id stands twice.
    """
    seen: set[str] = set()
    file = _find(path, "corpus")
    for row in read_rows(file, optional=("title", "language"), allow_empty=True):
        _check_unique(row.row_id, seen, row.place)
        fields = row.fields
        yield Document(
            doc_id=row.row_id,
            text=fields["text"],
            title=fields["title"],
            language=fields["language"],
        )


def read_queries(path: str | Path) -> Iterator[Query]:
    """Queries of a BEIR folder (its queries.jsonl, also compressed), or of any file of rows.

    Args:
        path: Folder, or file with the fields `_id`, `text` and, if there is, `language`.

    Yields:
        Queries in file order.

    Raises:
        DataError: There is no such file, a row is not as described, or an id stands twice.
    """
    seen: set[str] = set()
    for row in read_rows(_find(path, "queries"), optional=("language",), allow_empty=True):
        _check_unique(row.row_id, seen, row.place)
        yield Query(query_id=row.row_id, text=row.text, language=row.fields["language"])


def read_qrels(path: str | Path, *, split: str = "test") -> Qrels:
    """Relevance judgements of a BEIR folder, a BEIR file or a TREC file.

    BEIR: query id, document id and grade between tabs, with or without a line of names. TREC:
    query id, iteration, document id and grade between white space.

    Args:
        path: Folder, or file.
        split: Name of the file in the folder's `qrels/`.

    Returns:
        Query id to document id to grade.

    Raises:
        DataError: There is no such file, a line is not as described, or a pair has two grades.
    """
    file = _find(path, f"qrels/{split}", ".tsv")
    qrels: Qrels = {}
    for number, line in read_lines(file):
        if not line.strip():
            continue
        where = place(file, number)
        query_id, doc_id, grade = _split_judgement(line, where)
        if number == 1 and not grade.lstrip("+-").replace(".", "", 1).isdigit():
            continue
        value = _read_grade(grade, where)
        known = qrels.setdefault(query_id, {}).setdefault(doc_id, value)
        if known != value:
            raise DataError(
                f"{where}: query {query_id} and document {doc_id} have grade {value}, "
                f"and {known} further up"
            )
    if not qrels:
        raise DataError(f"{file}: holds no judgements, expected at least one")
    return qrels


def _split_judgement(line: str, where: str) -> tuple[str, str, str]:
    by_tab = [part.strip() for part in line.split("\t")]
    if len(by_tab) == 3:
        return by_tab[0], by_tab[1], by_tab[2]
    parts = line.split()
    if len(parts) == 4:
        return parts[0], parts[2], parts[3]
    raise DataError(
        f"{where}: got {len(by_tab)} columns, expected query id, document id and grade between "
        "tabs (BEIR), or four columns (TREC)"
    )


def _read_grade(grade: str, where: str) -> int:
    try:
        value = float(grade)
        if value == int(value):
            return int(value)
    except (ValueError, OverflowError):
        pass
    raise DataError(f"{where}: grade `{grade}` is no whole number")


def _find(path: str | Path, name: str, suffix: str = ".jsonl") -> str | Path:
    """The file `name` of a folder, compressed or not; any other path as it is."""
    folder = Path(path)
    if not folder.is_dir():
        return path
    for compression in ("", *COMPRESSIONS):
        candidate = folder / f"{name}{suffix}{compression}"
        if candidate.is_file():
            return candidate
    raise DataError(f"{folder}: no {name}{suffix} (or compressed), expected a BEIR folder")


def _check_unique(row_id: str, seen: set[str], where: str) -> None:
    if row_id in seen:
        raise DataError(f"{where}: id `{row_id}` stands twice in the file")
    seen.add(row_id)
