"""Small data of tasks on texts, in memory and in files."""

import csv
import gzip
import json
import lzma
import random
from pathlib import Path

ANIMALS = ("cat", "dog", "cow", "hen")
TOOLS = ("saw", "axe", "drill", "file")
FOODS = ("bread", "soup", "rice", "corn")
WORDS = {"animal": ANIMALS, "tool": TOOLS, "food": FOODS}
FILLERS = ("red", "old", "big", "my", "new", "one")


def class_texts(count: int, seed: int, labels=("animal", "tool", "food")) -> list[tuple[str, str]]:
    """(text, label), where two words of a text tell its class and one does not."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        label = draw.choice(labels)
        words = [draw.choice(WORDS[label]), draw.choice(WORDS[label]), draw.choice(FILLERS)]
        found.append((" ".join(words), label))
    return found


def scored_rows(count: int, seed: int = 0) -> list[dict]:
    """Pairs whose score is the number of words that they share, from 0 to 4, and some noise."""
    draw = random.Random(seed)
    words = [*ANIMALS, *TOOLS, *FOODS]
    rows = []
    for _ in range(count):
        first = draw.sample(words, 4)
        shared = draw.randint(0, 4)
        second = first[:shared] + draw.sample([w for w in words if w not in first], 4 - shared)
        score = min(5.0, max(0.0, shared + draw.choice((-1.0, 0.0, 0.5, 1.0))))
        rows.append({"sentence1": " ".join(first), "sentence2": " ".join(second), "score": score})
    return rows


def write_jsonl(path: Path, rows: list[dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(content.encode()))
    elif path.suffix == ".xz":
        path.write_bytes(lzma.compress(content.encode()))
    else:
        path.write_text(content, encoding="utf-8")
    return path


def write_columns(path: Path, rows: list[dict], *, delimiter=",", header=True) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, delimiter=delimiter)
        if header:
            writer.writerow(list(rows[0]))
        writer.writerows([list(row.values()) for row in rows])
    return path
