"""MKQA: questions in many languages over an English corpus, with strings as answers."""

import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from mgte.errors import DataError
from mgte.evaluate.collections.config import CollectionConfig
from mgte.evaluate.collections.files import DatasetFiles
from mgte.evaluate.collections.tables import (
    Parts,
    Record,
    read_documents,
    read_tables,
    text_of,
    texts_of,
)
from mgte.text import Query

# Questions whose answer no string can show. Source: BGE-M3, arXiv 2402.03216, and its scripts;
# 6,619 of MKQA's 10,000 questions remain.
_UNFIT = ("unanswerable", "binary", "long_answer")
_CORPUS = [
    "corpus.jsonl*",
    "corpus/*.parquet",
    "data/corpus*.parquet",
    "**/corpus*.jsonl*",
    "**/corpus*.parquet",
    "corpus/**/*.parquet",
]


def read_mkqa(config: CollectionConfig, files: DatasetFiles) -> Parts:
    """Documents of a BEIR corpus, and the questions of one or several languages.

    Questions stand in a file per language, `{language}.jsonl` with id, question and answers (also
    in an archive, as BGE-M3's authors publish them), or in MKQA's own `mkqa.jsonl.gz`, of which
    the English answers and their aliases are taken. Ids are written `{language}:{id}`.

    Args:
        config: Which languages.
        files: Where datasets are.

    Returns:
        The parts; answers instead of judgements.

    Raises:
        DataError: A file is not there, or a row is not as described.
    """
    languages = config.subsets or ((config.subset,) if config.subset else ())
    if not languages:
        raise DataError(f"{config.data}: got no language, expected one subset or several")
    queries: list[Query] = []
    answers: dict[str, Sequence[str]] = {}
    for language in languages:
        for number, (item_id, text, strings) in enumerate(_questions(language, config, files)):
            query_id = f"{language}:{item_id or number}"
            queries.append(Query(query_id=query_id, text=text, language=language))
            answers[query_id] = strings
    corpus = files.find(config.data, _CORPUS, revision=config.revision)
    return Parts(documents=read_documents(corpus), queries=queries, qrels={}, answers=answers)


def _questions(
    language: str, config: CollectionConfig, files: DatasetFiles
) -> Iterator[tuple[str, str, list[str]]]:
    patterns = [f"{language}.jsonl*", f"*/{language}.jsonl*", "mkqa.jsonl*", "*MKQA*.zip"]
    found = files.find(config.queries, patterns, revision=config.queries_revision)
    file = found[0]
    rows = _zipped(file, language) if file.suffix == ".zip" else read_tables([file], ())
    is_own = file.name.startswith("mkqa.")
    for where, record in rows:
        question = _own_question(record, language, where) if is_own else _question(record, where)
        if question is not None:
            yield question


def _question(record: Record, where: str) -> tuple[str, str, list[str]]:
    item_id = text_of(record, ("id", "_id"), where)
    return item_id, text_of(record, ("question",), where), texts_of(record, "answers", where)


def _own_question(record: Record, language: str, where: str) -> tuple[str, str, list[str]] | None:
    """A row of `mkqa.jsonl`; None where no string can answer it."""
    queries, answers = record.get("queries"), record.get("answers")
    if not isinstance(queries, dict) or not isinstance(answers, dict):
        raise DataError(f"{where}: got no `queries` or `answers`, expected both by language")
    given = answers.get("en") or []
    if not isinstance(given, list) or not all(isinstance(answer, dict) for answer in given):
        raise DataError(f"{where}: the English answers are no list of objects")
    if any(answer.get("type") in _UNFIT for answer in given):
        return None
    strings = []
    for answer in given:
        strings += [answer["text"]] if isinstance(answer.get("text"), str) else []
        strings += texts_of(answer, "aliases", where)
    if not strings:
        return None
    return text_of(record, ("example_id",), where), text_of(queries, (language,), where), strings


def _zipped(file: Path, language: str) -> Iterator[tuple[str, Record]]:
    """Rows of `{language}.jsonl` in an archive."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = [n for n in archive.namelist() if Path(n).name == f"{language}.jsonl"]
            if not names:
                raise DataError(f"{file}: holds no {language}.jsonl, expected one")
            with archive.open(names[0]) as stream:
                for number, line in enumerate(io.TextIOWrapper(stream, "utf-8"), start=1):
                    where = f"{file}/{names[0]}:{number}"
                    record = json.loads(line) if line.strip() else None
                    if isinstance(record, dict):
                        yield where, record
    except (zipfile.BadZipFile, ValueError) as error:
        raise DataError(f"{file}: not readable as a ZIP archive of JSONL ({error})") from error
