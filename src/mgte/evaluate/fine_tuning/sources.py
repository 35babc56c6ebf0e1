"""Rows of tasks as they stand in files or hub datasets, before anything is made of them. No torch.

Every row is a mapping from a field's name to its value; classes of hub datasets are named.
"""

import csv
import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from mgte.errors import BackendUnavailableError, DataError
from mgte.evaluate.fine_tuning.config import Source
from mgte.text import read_qrels, read_records

# Where a row stands, and its values.
PlacedRow = tuple[str, Mapping[str, Any]]


def read_source(source: Source, root: Path) -> list[PlacedRow]:
    """Rows of a source.

    Args:
        source: Where they come from, with its language put in.
        root: Folder from which paths count.

    Returns:
        Rows in their order, at least one.

    Raises:
        DataError: The data is not there, damaged, or holds no row.
        BackendUnavailableError: The package that reads it is not installed.
    """
    if source.format == "hub":
        rows = _read_hub(source)
    else:
        path = root / source.path
        if not path.exists() and not _is_pattern(source):
            raise DataError(
                f"{path}: is not there, expected data of the format {source.format!r}",
                hint="paths count from --data-root",
            )
        rows = _READERS[source.format](source, root)
    found = list(islice(rows, source.start, source.stop))
    if not found:
        raise DataError(f"{source.path}: holds no row between {source.start} and {source.stop}")
    return found


def _read_table(source: Source, root: Path) -> Iterator[PlacedRow]:
    files = [root / source.path]
    if _is_pattern(source):
        files = sorted(root.glob(source.path))
        if not files:
            raise DataError(f"{root / source.path}: no file has such a name, expected some")
    for file in files:
        for place, record in read_records(file):
            if not isinstance(record, dict):
                raise DataError(f"{place}: got a single value, expected named fields")
            yield place, record


def _is_pattern(source: Source) -> bool:
    return source.format == "table" and "*" in source.path


def _read_lines(source: Source, root: Path) -> Iterator[PlacedRow]:
    path, columns = root / source.path, source.columns
    lines = ((place, str(line)) for place, line in read_records(path, format="text"))
    if source.delimiter == ",":
        values = _comma_separated(lines)
    elif source.delimiter == " ":
        values = ((place, line.split(" ", len(columns) - 1)) for place, line in lines if line)
    else:
        values = ((place, line.split(source.delimiter)) for place, line in lines if line)
    for place, row in values:
        if len(row) != len(columns):
            raise DataError(f"{place}: got {len(row)} columns, expected {len(columns)}")
        yield place, dict(zip(columns, row, strict=True))


def _comma_separated(lines: Iterator[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    last = ""

    def texts() -> Iterator[str]:
        nonlocal last
        for place, line in lines:
            last = place
            yield line + "\n"

    try:
        for row in csv.reader(texts(), strict=True):
            if row:
                yield last, row
    except csv.Error as error:
        raise DataError(f"{last}: not readable as CSV ({error})") from error


def _read_conll(source: Source, root: Path) -> Iterator[PlacedRow]:
    """Sentences with `words` and `tags`; lines of CoNLL-U that are no words are left out."""
    words: list[str] = []
    tags: list[str] = []
    begin = ""
    for place, line in (*read_records(root / source.path, format="text"), ("end", "")):
        if not line.strip():
            if words:
                yield begin, {"words": words, "tags": tags}
            words, tags, begin = [], [], ""
            continue
        if line.startswith(("# ", "-DOCSTART-")):
            continue
        values = line.split("\t") if "\t" in line else line.split()
        row = dict(zip(source.columns, values, strict=False))
        if "words" not in row or "tags" not in row:
            raise DataError(f"{place}: got {len(values)} columns, expected {len(source.columns)}")
        if not row.get("id", "1").isdecimal():
            continue
        begin = begin or place
        words.append(row["words"])
        tags.append(row["tags"])


def _read_squad(source: Source, root: Path) -> Iterator[PlacedRow]:
    for place, question, context in _questions(root / source.path):
        answers = question.get("answers") or []
        yield (
            place,
            {
                "id": question.get("id", ""),
                "question": question.get("question", ""),
                "context": context,
                "answers": {
                    "text": [answer["text"] for answer in answers],
                    "answer_start": [answer["answer_start"] for answer in answers],
                },
            },
        )


def _questions(path: Path) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    content = _json_object(path)
    try:
        for article in content["data"]:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    yield f"{path}: {question.get('id')}", question, paragraph["context"]
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: not in SQuAD's layout ({error!r})") from error


def _json_object(path: Path) -> Any:
    text = "\n".join(str(line) for _, line in read_records(path, format="text"))
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(f"{path}: not readable as JSON ({error})") from error


def _read_parallel(source: Source, root: Path) -> Iterator[PlacedRow]:
    first = list(read_records(root / source.path, format="text"))
    second = list(read_records(root / source.second_path, format="text"))
    if len(first) != len(second):
        raise DataError(
            f"{source.path}: got {len(first):,} lines and {len(second):,} translations, expected "
            "as many"
        )
    for (place, text), (_, translation) in zip(first, second, strict=True):
        yield place, {"first": text, "second": translation}


def _read_question_folder(source: Source, root: Path) -> Iterator[PlacedRow]:
    folder = root / source.path
    contexts = {
        str(record["_id"]): record["text"] for _, record in read_records(_file(folder, "corpus"))
    }
    qrels = read_qrels(folder / "qrels" / f"{source.split}.tsv")
    for place, record in read_records(_file(folder, "queries")):
        judged = qrels.get(str(record["_id"]))
        if judged is None:
            continue
        document = max(judged, key=lambda doc_id: judged[doc_id])
        if document not in contexts or "answer" not in record:
            raise DataError(f"{place}: has no context or no `answer`, expected both")
        yield (
            place,
            {
                "id": record.get("qid", record["_id"]),
                "question": record["text"],
                "context": contexts[document],
                "answers": {
                    "text": [record["answer"]],
                    "answer_start": [record["answer_start"]],
                },
            },
        )


def _file(folder: Path, name: str) -> Path:
    for suffix in (".jsonl", ".jsonl.gz", ".jsonl.zst"):
        if (folder / f"{name}{suffix}").is_file():
            return folder / f"{name}{suffix}"
    raise DataError(f"{folder}: has no {name}.jsonl, expected a BEIR folder")


def _read_hub(source: Source) -> Iterator[PlacedRow]:
    try:
        datasets = importlib.import_module("datasets")
    except ImportError as error:
        raise BackendUnavailableError(
            f"{source.path}: datasets of the hub need the package datasets",
            hint="pip install 'mgte[eval]'",
        ) from error
    try:
        dataset = datasets.load_dataset(source.path, source.config or None, split=source.split)
    except Exception as error:  # the hub's errors have no common kind
        raise DataError(
            f"{source.path}: the split {source.split!r} cannot be loaded ({_first_line(error)})",
            hint="offline, a dataset must be in the cache of the package datasets",
        ) from error
    namers = {name: namer for name, kind in dataset.features.items() if (namer := _namer(kind))}
    for number, row in enumerate(dataset):
        named = {name: namers[name](value) for name, value in row.items() if name in namers}
        yield f"{source.path}/{source.split}[{number}]", {**row, **named}


def _namer(kind: Any) -> Callable[[Any], Any] | None:
    """From numbers of classes to their names, for a column that holds them or lists of them."""
    names = getattr(kind, "names", None)
    if names is not None:
        return lambda value: names[value] if value >= 0 else ""
    inner = getattr(getattr(kind, "feature", None), "names", None)
    return None if inner is None else lambda values: [inner[value] for value in values]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]


_READERS: Mapping[str, Callable[[Source, Path], Iterator[PlacedRow]]] = {
    "table": _read_table,
    "lines": _read_lines,
    "conll": _read_conll,
    "squad": _read_squad,
    "parallel_lines": _read_parallel,
    "question_folder": _read_question_folder,
}
