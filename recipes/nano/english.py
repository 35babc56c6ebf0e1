"""English sources: questions, documents, meetings, claims, code, requests, and single words."""

import csv
import gzip
import json
import random
import re
from pathlib import Path

from rows import PASSAGE, Output, cloze, lines, passages, read


def medquad(data: Path, out: Output, dice: random.Random) -> None:
    """Medical questions and answers (CC BY 4.0)."""
    for row in read(data / "medquad/qa_pairs.jsonl.gz"):
        if row["split"] != "train":
            out.heldout(row["query"], row["positive"])
            continue
        out.add(
            "pairs",
            "medquad",
            query=row["query"],
            document=row["positive"][: 3 * PASSAGE],
            language="en",
        )
        out.add(
            "vectors",
            "medquad-questions",
            text=row["query"],
            teacher_text=row["query"],
            language="en",
        )
        for passage in passages(row["positive"]):
            out.english("medquad", passage)
            cloze(out, "medquad", passage, "en", dice)


def technical_documents(data: Path, out: Output, dice: random.Random) -> None:
    """PEPs and Rust RFCs (public domain, MIT or Apache-2.0): title and abstract to text."""
    for row in read(data / "long_tech_docs_pep_rustrfc/docs.jsonl.gz"):
        if row["split"] != "train":
            out.heldout(row["text"], row["abstract"], row["title"])
            continue
        query = row["abstract"][:PASSAGE] or row["title"]
        out.add("pairs", "techdocs", query=query, document=row["text"], language="en")
        parts = passages(row["text"])
        for passage in parts:
            out.english("techdocs", passage)
            cloze(out, "techdocs", passage, "en", dice)
        if parts:
            document = dice.choice(parts)
            out.add("pairs", "techdocs-title", query=row["title"], document=document, language="en")


def meetings(data: Path, out: Output, dice: random.Random) -> None:
    """Meeting transcripts with questions and answers (QMSum, MIT)."""
    for row in read(data / "qmsum/corpus.jsonl.gz"):
        if row["split"] != "train":
            out.heldout(row["text"])
            continue
        for passage in passages(re.sub(r"\{\w+\}", "", row["text"]))[:30]:
            out.english("qmsum", passage)
    for row in read(data / "qmsum/queries.jsonl.gz"):
        if row["split"] != "train":
            out.heldout(row["text"])
        elif row["kind"] != "general":
            out.add("pairs", "qmsum", query=row["text"], document=row["answer"], language="en")


def claims(data: Path, out: Output, dice: random.Random) -> None:
    """Scientific claims and abstracts (SciFact, CC BY 4.0 and ODC-By 1.0): train judgements only.

    An abstract that is evidence for a test claim is held out, though BEIR shares one corpus.
    """
    folder = data / "scifact_beir"
    judged = {
        split: [line.split("\t") for line in (folder / f"qrels/{split}.tsv").open()][1:]
        for split in ("train", "test")
    }
    tested = {document for _, document, _ in judged["test"]}
    texts = {
        row["_id"]: f"{row['title']} {row['text']}" for row in read(folder / "corpus.jsonl.gz")
    }
    queries = {row["_id"]: row for row in read(folder / "queries.jsonl.gz")}
    out.heldout(*(texts[document] for document in sorted(tested)))
    out.heldout(*(row["text"] for row in queries.values() if row["split"] != "train"))
    used = set()
    for query, document, _ in judged["train"]:
        if document not in tested:
            used.add(document)
            out.add(
                "pairs",
                "scifact",
                query=queries[query]["text"],
                document=texts[document],
                language="en",
            )
    for document in sorted(used):
        for passage in passages(texts[document]):
            out.english("scifact", passage)
    for row in queries.values():
        if row["split"] == "train":
            out.english("scifact-claims", row["text"])


def code(data: Path, out: Output, dice: random.Random) -> None:
    """Python functions with their descriptions (MIT); Java and C# translations (C-UDA)."""
    for row in read(data / "thealgorithms_docstring_code/pairs.jsonl.gz"):
        if row["split"] != "train":
            out.heldout(row["query"], row["positive"], row["code_with_docstring"])
            continue
        source = row["positive"][: 2 * PASSAGE]
        described = row["code_with_docstring"][: 2 * PASSAGE]
        out.add("pairs", "algorithms", query=row["query"], document=source, language="en")
        out.add("pairs", "algorithms-described", query=row["query"], document=described,
                language="en")  # fmt: skip
        out.english("algorithms", described)
        out.english("algorithms", source)
        out.english("algorithms-descriptions", row["query"])
    folder = data / "codexglue/Code-Code/code-to-code-trans/data"
    for part in ("valid", "test"):
        for language in ("java", "cs"):
            out.heldout(*lines(folder / f"{part}.java-cs.txt.{language}.gz"))
    java, sharp = (lines(folder / f"train.java-cs.txt.{kind}.gz") for kind in ("java", "cs"))
    for left, right in zip(java, sharp, strict=True):
        out.add("pairs", "java-cs", query=left, document=right, language="en")
        out.add("vectors", "java-cs", text=left, teacher_text=left, language="en")


def requests(data: Path, out: Output, dice: random.Random) -> None:
    """Short requests to a bank and to an assistant (CC BY 4.0, CC BY 3.0)."""
    for part in ("train", "test"):
        with gzip.open(data / f"banking77/{part}.csv.gz", "rt", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if part == "train":
                    out.english("banking77", row["text"])
                else:
                    out.heldout(row["text"])
    with gzip.open(data / "clinc150/data_full.json.gz", "rt", encoding="utf-8") as file:
        for part, rows in json.load(file).items():
            for text, _ in rows:
                if part.endswith("train"):
                    out.english("clinc150", text)
                else:
                    out.heldout(text)


def words(data: Path, out: Output, dice: random.Random) -> None:
    """Words of the teacher's own vocabulary, alone and in small random groups.

    Texts hold few of the words that people search for; the teacher knows what each is close to.
    """
    from mgte.store import open_model

    file = open_model("all-minilm-l6-v2").tokenizer_file
    vocabulary = json.loads(Path(str(file)).read_text("utf-8"))["model"]["vocab"]
    known = [word for word in vocabulary if word.isascii() and word.isalpha() and len(word) > 1]
    groups = [
        " ".join(dice.choice(known) for _ in range(dice.choice((2, 2, 3, 3, 4, 5, 6))))
        for _ in range(3 * len(known))
    ]
    for text in [*known, *groups]:
        out.add("vectors", "words", text=text, teacher_text=text, language="en")
