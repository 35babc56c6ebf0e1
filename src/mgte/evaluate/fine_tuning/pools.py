"""Pools: queries, candidates, and which candidates are right, for retrieval. Loads no torch."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mgte.errors import DataError
from mgte.evaluate.fine_tuning.config import TestSet
from mgte.evaluate.fine_tuning.example_reading import read_examples
from mgte.evaluate.fine_tuning.examples import LinkedExample, QuestionExample


@dataclass(frozen=True, kw_only=True, slots=True)
class Pool:
    """What is searched for what.

    Attributes:
        query_ids: Id of each query.
        queries: Texts of the queries.
        documents: Texts of the candidates, each once.
        positives: Rows of `documents` that are right, for each query.
    """

    query_ids: tuple[str, ...]
    queries: tuple[str, ...]
    documents: tuple[str, ...]
    positives: tuple[frozenset[int], ...]


def read_pool(test: TestSet, language: str, root: Path) -> Pool:
    """The pool of one language of a test set.

    Args:
        test: The test set.
        language: The language of the queries; "" where there is one.
        root: Folder from which paths count.

    Returns:
        The pool.

    Raises:
        DataError: Data is missing, or an example belongs to no candidate.
    """
    if test.has_shared_pool:
        return _shared_pool(test, language, root)
    examples = _linked(test, language, root)
    if test.documents is None:
        return linked_pool(examples)
    source = test.documents.of_language(language)
    documents = [
        example
        for example in read_examples(source, "retrieval", (), root)
        if isinstance(example, LinkedExample)
    ]
    rows = {document.example_id: row for row, document in enumerate(documents)}
    absent = [example for example in examples if example.positive_id not in rows]
    if absent:
        raise DataError(
            f"{test.source.path}: {absent[0].example_id!r} belongs to {absent[0].positive_id!r}, "
            f"which is not among the {len(rows):,} documents"
        )
    return Pool(
        query_ids=tuple(example.example_id for example in examples),
        queries=tuple(example.first for example in examples),
        documents=tuple(document.first for document in documents),
        positives=tuple(frozenset({rows[example.positive_id]}) for example in examples),
    )


def linked_pool(examples: Sequence[LinkedExample]) -> Pool:
    """The pool of examples that hold what belongs to them, such as translations.

    Args:
        examples: Examples; equal second texts are one candidate.

    Returns:
        The pool.
    """
    rows: dict[str, int] = {}
    for example in examples:
        rows.setdefault(example.second, len(rows))
    return Pool(
        query_ids=tuple(example.example_id for example in examples),
        queries=tuple(example.first for example in examples),
        documents=tuple(rows),
        positives=tuple(frozenset({rows[example.second]}) for example in examples),
    )


def _shared_pool(test: TestSet, language: str, root: Path) -> Pool:
    """Questions of one language, contexts of all."""
    rows: dict[str, int] = {}
    answering: defaultdict[str, set[int]] = defaultdict(set)
    asked: list[QuestionExample] = []
    for other in test.languages:
        for example in read_examples(test.source.of_language(other), "spans", (), root):
            if isinstance(example, QuestionExample):
                row = rows.setdefault(example.context, len(rows))
                if test.are_translations_right or other == language:
                    answering[example.example_id].add(row)
                if other == language:
                    asked.append(example)
    return Pool(
        query_ids=tuple(example.example_id for example in asked),
        queries=tuple(example.question for example in asked),
        documents=tuple(rows),
        positives=tuple(frozenset(answering[example.example_id]) for example in asked),
    )


def _linked(test: TestSet, language: str, root: Path) -> list[LinkedExample]:
    read = read_examples(test.source.of_language(language), "retrieval", (), root)
    return [example for example in read if isinstance(example, LinkedExample)]
