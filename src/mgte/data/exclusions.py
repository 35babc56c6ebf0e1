"""Texts of test collections, which must not occur in what is trained on."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mgte.data.hashing import text_hash
from mgte.data.source_files import SourceFile, find_files
from mgte.text import read_corpus, read_queries, read_records


def excluded_hashes(patterns: Iterable[str], root: Path) -> set[int]:
    """Hashes of all texts of collections and files.

    Args:
        patterns: BEIR folders (queries; titles, texts and both together of the corpus) and files
            (every string in them, at any depth); glob patterns of them.
        root: Folder from which paths count.

    Returns:
        `text_hash` of each text, so that case, width and white space do not matter.

    Raises:
        DataError: There is no such folder or file, or it cannot be read.
    """
    hashes: set[int] = set()
    for pattern in patterns:
        for file in find_files(pattern, root):
            texts = _folder_texts(file.path) if file.path.is_dir() else _file_texts(file.path)
            hashes.update(text_hash(text) for text in texts)
    hashes.discard(text_hash(""))
    return hashes


def excluded_files(patterns: Iterable[str], root: Path) -> list[SourceFile]:
    """Files that `excluded_hashes` reads; of a folder all that lie in it.

    Args:
        patterns: As there.
        root: As there.

    Returns:
        Files, each once, in a fixed order.

    Raises:
        DataError: There is no such folder or file.
    """
    found: dict[str, SourceFile] = {}
    for pattern in patterns:
        for place in find_files(pattern, root):
            inside = sorted(place.path.iterdir()) if place.path.is_dir() else [place.path]
            for path in inside:
                name = place.name + path.as_posix().removeprefix(place.path.as_posix())
                if path.is_file():
                    found[name] = SourceFile(path=path, name=name)
    return list(found.values())


def _folder_texts(folder: Path) -> Iterator[str]:
    for document in read_corpus(folder):
        yield from (document.title, document.text, document.full_text)
    for query in read_queries(folder):
        yield query.text


def _file_texts(path: Path) -> Iterator[str]:
    for _, content in read_records(path):
        yield from _strings(content)


def _strings(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict):
        for value in content.values():
            yield from _strings(value)
    elif isinstance(content, list):
        for item in content:
            yield from _strings(item)
