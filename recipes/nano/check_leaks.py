"""Whether any text of a dev or test part is in the prepared data of a run: by hash, text by text.

    python recipes/nano/check_leaks.py DATA_FOLDER runs/nano runs/nano-reranker

Reads DATA_FOLDER itself, not what collect.py wrote of it, so that a mistake there shows here. Held
out are rows that say so (`split`), files that say so (dev, test, valid in their names), and every
query and document of the retrieval collections; of the two collections that divide their queries
into parts, the queries of the test part and the documents that answer them.
"""

import argparse
import csv
import gzip
import hashlib
import json
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DIVIDED = ("qmsum", "scifact_beir")
HELD_OUT = re.compile(r"(^|[-_.])(dev|test|valid|validation)([-_.\d]|$)", re.IGNORECASE)
# Shorter texts (words, "yes", one line of code) are the same in many places by chance.
MIN_CHARACTERS = 20
# Columns of prepared data that hold no texts.
NO_TEXTS = ("place", "source", "language")


def fingerprint(text: str) -> bytes | None:
    """Hash of a text without regard to case, width and spaces; None for short ones."""
    plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    if len(plain) < MIN_CHARACTERS:
        return None
    return hashlib.blake2b(plain.encode(), digest_size=16).digest()


def strings(value: Any) -> Iterator[str]:
    """Every string inside of a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def rows(path: Path) -> Iterator[Any]:
    """Rows of a gzipped JSONL, CSV, TSV or plain text file; one JSON document counts as one row."""
    with gzip.open(path, "rt", encoding="utf-8", errors="replace", newline="") as file:
        name = path.name.removesuffix(".gz")
        if name.endswith((".csv", ".tsv")):
            csv.field_size_limit(1 << 30)
            quoting = csv.QUOTE_NONE if name.endswith(".tsv") else csv.QUOTE_MINIMAL
            delimiter = "\t" if name.endswith(".tsv") else ","
            yield from csv.reader(file, delimiter=delimiter, quoting=quoting)
        elif name.endswith((".jsonl", ".json")):
            content = file.read()
            try:
                yield json.loads(content)
            except ValueError:
                # Not splitlines: texts hold other line separators.
                yield from (json.loads(line) for line in content.split("\n") if line.strip())
        else:
            yield from file


def is_held_out(path: Path, data: Path, row: Any) -> bool:
    """Whether a row belongs to a dev or test part, by its own words or its file's."""
    if isinstance(row, dict) and "split" in row:
        return str(row["split"]).lower() not in ("train", "")
    parts = path.relative_to(data).parts[1:]
    return any(HELD_OUT.search(part) for part in parts)


def held_out_texts(data: Path) -> Iterator[tuple[str, str]]:
    """(data set, text) of everything that no model may see."""
    for path in sorted(data.rglob("*.gz")):
        name = path.relative_to(data).parts[0]
        is_collection = (path.parent / "qrels").is_dir()
        if is_collection and name not in DIVIDED:
            for row in rows(path):
                for value in (row,) if isinstance(row, dict) else row:
                    yield from ((name, text) for text in document_texts(value))
            continue
        for row in rows(path):
            # One JSON document: parts are its keys.
            if isinstance(row, dict) and {"train", "test"} <= row.keys():
                row = [value for key, value in row.items() if not key.endswith("train")]
            elif not is_held_out(path, data, row):
                continue
            yield from ((name, text) for text in strings(row))
    yield from divided_texts(data)


def document_texts(row: dict[str, Any]) -> tuple[str, ...]:
    """A document or query of a collection: its text, alone and with its title."""
    text, title = row.get("text", ""), row.get("title", "")
    return (text, f"{title} {text}", f"{title}\n{text}")


def divided_texts(data: Path) -> Iterator[tuple[str, str]]:
    """Documents that answer queries of a test part."""
    for name in DIVIDED:
        wanted = {
            line.split("\t")[1]
            for path in (data / name / "qrels").glob("*.tsv")
            if path.stem != "train"
            for line in path.read_text("utf-8").splitlines()[1:]
        }
        for row in rows(data / name / "corpus.jsonl.gz"):
            if row["_id"] in wanted:
                yield from ((name, text) for text in document_texts(row))


def trained_texts(run: Path) -> Iterator[tuple[str, str]]:
    """(place in the raw data, text) of everything in the prepared data of a run."""
    import pyarrow.parquet as pq

    for shard in sorted((run / "data").glob("*/rows-*.parquet")):
        for batch in pq.ParquetFile(shard).iter_batches():
            for row in batch.to_pylist():
                texts = {key: value for key, value in row.items() if key not in NO_TEXTS}
                yield from ((row["place"], text) for text in strings(texts))


def main() -> int:
    """Compare; 1 if anything leaks."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    given = parser.parse_args()
    held_out: dict[bytes, str] = {}
    counts: Counter[str] = Counter()
    for name, text in held_out_texts(given.data):
        key = fingerprint(text)
        if key is not None and key not in held_out:
            held_out[key] = name
            counts[name] += 1
    sys.stdout.write(f"{len(held_out):,} texts are held out, of {len(counts)} data sets\n")
    status = 0
    for run in given.runs:
        seen, leaks = 0, Counter[tuple[str, str]]()
        for place, text in trained_texts(run):
            seen += 1
            key = fingerprint(text)
            if key in held_out:
                leaks[place.split(":")[0], held_out[key]] += 1
        found = sum(leaks.values())
        sys.stdout.write(f"{run}: {seen:,} texts trained on, {found:,} of them held out\n")
        for (source, name), count in leaks.most_common():
            sys.stdout.write(f"  {source} holds {count:,} texts of {name}\n")
        status = 1 if leaks else status
    return status


if __name__ == "__main__":
    sys.exit(main())
