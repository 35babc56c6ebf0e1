"""What the collectors share: reading, cutting into passages, and the files that are written."""

import gzip
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Row = dict[str, Any]
# Passages of about this many characters: long enough to mean something, short enough to be many.
PASSAGE = 900


def read(path: Path) -> Iterator[Row]:
    """Rows of a JSONL file, gzipped."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def lines(path: Path) -> list[str]:
    """Lines of a gzipped text file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [line.rstrip("\n") for line in file]


class Output:
    """Files of the collection, opened on first use; counts what was written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, Any] = {}
        self.counts: dict[str, int] = {}

    def add(self, kind: str, source: str, **row: str) -> None:
        """Write one row, unless a field is empty."""
        if not all(value.strip() for name, value in row.items() if name != "language"):
            return
        name = f"{kind}/{source}.jsonl" if source else f"{kind}.jsonl"
        if name not in self.files:
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            self.files[name] = path.open("w", encoding="utf-8")
        self.files[name].write(json.dumps(row, ensure_ascii=False) + "\n")
        self.counts[name] = self.counts.get(name, 0) + 1

    def english(self, source: str, text: str) -> None:
        """An English text: for the tokenizer, for masking, and for the teacher."""
        self.add("texts", source, text=text, language="en")
        self.add("vectors", source, text=text, teacher_text=text, language="en")

    def heldout(self, *texts: str) -> None:
        """Texts that no model may have seen."""
        for text in texts:
            self.add("heldout", "", text=text)

    def close(self) -> None:
        """Close all files."""
        for file in self.files.values():
            file.close()


def passages(text: str, size: int = PASSAGE) -> list[str]:
    """Cut a long text at ends of paragraphs and sentences into passages of about `size`."""
    pieces = re.split(r"(?<=[.!?。!?।])\s+|\n{2,}|(?<=[。!?])", text)
    found, current = [], ""
    for piece in (piece for piece in pieces if piece and piece.strip()):
        if current and len(current) + len(piece) > size:
            found.append(current.strip())
            current = ""
        current += piece.strip() + " "
        while len(current) > 2 * size:
            found.append(current[:size].strip())
            current = current[size:]
    return [*found, current.strip()] if current.strip() else found


def cloze(out: Output, source: str, passage: str, language: str, dice: random.Random) -> None:
    """One sentence of a passage as the query for the rest (inverse cloze).

    One time in five the sentence stays in the passage: exact words must count, too.
    """
    sentences = re.split(r"(?<=[.!?।])\s+|(?<=[。!?])", passage)
    sentences = [sentence.strip() for sentence in sentences if len(sentence.strip()) > 12]
    if len(sentences) < 3:
        return
    query = dice.choice(sentences)
    document = passage if dice.random() < 0.2 else passage.replace(query, " ", 1)
    out.add("pairs", f"cloze-{source}", query=query, document=document, language=language)
