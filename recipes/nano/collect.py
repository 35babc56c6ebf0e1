"""Raw data of the `nano` recipe: the train parts of public data sets, as plain JSONL.

    python recipes/nano/collect.py DATA_FOLDER --out nano-data

DATA_FOLDER holds one folder per data set (names below), each with its own licence; nothing of it is
part of this repository. Only sets whose licence lets a model trained on them be shipped are read,
and of these only the train part. Written are

    texts/<source>.jsonl     {text, language}                masked language modelling, tokenizer
    pairs/<source>.jsonl     {query, document, language}     contrastive training
    vectors/<source>.jsonl   {text, teacher_text, language}  distillation; English for the teacher
    heldout.jsonl            {text}                          every text of a dev or test part

Preparation removes each row that holds a text of heldout.jsonl (`exclude` in the recipe).
"""

import argparse
import random
import sys
from collections.abc import Iterable
from pathlib import Path

import english
import languages
from rows import Output, read


def collections(data: Path, out: Output, dice: random.Random) -> None:
    """Retrieval collections that models are measured on: queries and documents."""
    for corpus in sorted(data.glob("*/corpus.jsonl.gz")):
        # Both are divided into parts; `meetings` and `claims` hold out theirs.
        if corpus.parent.name in ("qmsum", "scifact_beir"):
            continue
        for path in (corpus, corpus.with_name("queries.jsonl.gz")):
            for row in read(path):
                title, text = row.get("title", ""), row["text"]
                out.heldout(*(part for part in (text, f"{title} {text}") if part.strip()))


COLLECTORS = (
    english.medquad,
    english.technical_documents,
    english.meetings,
    english.claims,
    english.code,
    english.requests,
    english.words,
    languages.laws,
    languages.manuals,
    languages.commands,
    languages.scripture,
    languages.chinese,
    languages.sentences,
    collections,
)


def main(arguments: Iterable[str] | None = None) -> None:
    """Collect everything and say how much there is."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with one folder per data set")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    given = parser.parse_args(arguments if arguments is None else list(arguments))
    out = Output(given.out)
    for collect in COLLECTORS:
        # Each with its own dice: a change to one source leaves the others as they were.
        collect(given.data, out, random.Random(collect.__name__))
    out.close()
    for name, count in sorted(out.counts.items()):
        sys.stderr.write(f"{count:>9,}  {name}\n")


if __name__ == "__main__":
    main()
