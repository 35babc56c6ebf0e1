"""Sources in other languages, many of them translations of each other."""

import csv
import gzip
import random
from pathlib import Path

from rows import PASSAGE, Output, Row, cloze, lines, passages, read


def laws(data: Path, out: Output, dice: random.Random) -> None:
    """German federal laws (public domain): title to text, without its own heading."""
    for row in read(data / "gesetze_de/laws_1500_2k-60k_chars.jsonl.gz"):
        if row["split"] != "train":
            out.heldout(row["text"], row["title"])
            continue
        body = "\n".join(line for line in row["text"].split("\n") if not line.startswith("# "))
        out.add("pairs", "gesetze", query=row["title"], document=body[: 3 * PASSAGE], language="de")
        for passage in passages(body)[:40]:
            out.add("texts", "gesetze", text=passage, language="de")
            cloze(out, "gesetze", passage, "de", dice)


def manuals(data: Path, out: Output, dice: random.Random) -> None:
    """Software manuals in many languages (MIT, CC BY-SA 3.0).

    Pro Git, which lies beside them, is left out: its licence forbids commercial use.
    """
    for name in ("fastapi", "learnxinyminutes"):
        by_page: dict[str, dict[str, Row]] = {}
        for row in read(data / f"multilingual_docs/{name}.jsonl.gz"):
            if row["split"] != "train":
                out.heldout(row["text"])
                continue
            by_page.setdefault(row["id"], {})[row["lang"]] = row
        for versions in by_page.values():
            english = versions.get("en")
            for language, row in versions.items():
                parts = passages(row["text"])
                for passage in parts:
                    if language == "en":
                        out.english(name, passage)
                    else:
                        out.add("texts", name, text=passage, language=language)
                    cloze(out, name, passage, language, dice)
                if parts:
                    document = row["text"][: 2 * PASSAGE]
                    out.add(
                        "pairs", f"{name}-title", query=row["title"], document=document,
                        language=language,
                    )  # fmt: skip
                if english and language != "en":
                    out.add(
                        "vectors", f"{name}-titles", text=row["title"],
                        teacher_text=english["title"], language=language,
                    )  # fmt: skip
                    out.add(
                        "vectors", f"{name}-starts", text=row["text"][:PASSAGE],
                        teacher_text=english["text"][:PASSAGE], language=language,
                    )  # fmt: skip


def commands(data: Path, out: Output, dice: random.Random) -> None:
    """Command-line pages in 39 languages (tldr, CC BY 4.0)."""
    english: dict[str, Row] = {}
    rows = list(read(data / "tldr_pages/pages.jsonl.gz"))
    for row in rows:
        if row["split"] == "train" and row["lang"] == "en":
            english[row["id"]] = row
    for row in rows:
        words = [row["description"], *(f"{text}: {line}" for text, line in row["examples"])]
        if row["split"] != "train":
            out.heldout(row["description"], *(part for pair in row["examples"] for part in pair))
            continue
        page = "\n".join([row["title"], *words]).replace("{{", "").replace("}}", "")
        language = row["lang"]
        out.add("texts", "tldr", text=page, language=language)
        out.add("pairs", "tldr-pages", query=row["description"], document="\n".join([row["title"],
                *words[1:]]), language=language)  # fmt: skip
        for text, line in row["examples"][:3]:
            out.add("pairs", "tldr-commands", query=text, document=line, language=language)
        original = english.get(row["id"])
        if language == "en":
            out.add("vectors", "tldr", text=page, teacher_text=page, language="en")
            for text in [row["description"], *(text for text, _ in row["examples"][:3])]:
                out.add("vectors", "tldr-lines", text=text, teacher_text=text, language="en")
        elif original is not None:
            for text, teacher in translations(row, original, dice):
                out.add("vectors", "tldr-translated", text=text, teacher_text=teacher,
                        language=language)  # fmt: skip
                out.add("pairs", "tldr-translated", query=text, document=teacher, language=language)


def translations(row: Row, original: Row, dice: random.Random) -> list[tuple[str, str]]:
    """Lines of a translated page with the English ones."""
    found = [(row["description"], original["description"])]
    if len(row["examples"]) == len(original["examples"]):
        found += [
            (ours[0], theirs[0])
            for ours, theirs in zip(row["examples"], original["examples"], strict=True)
            if ours[1] == theirs[1] or dice.random() < 0.5
        ]
    return found


def scripture(data: Path, out: Output, dice: random.Random) -> None:
    """Verses of the Quran in ten languages (CC BY-SA 4.0), of New Testaments in 46 (CC0)."""
    for row in read(data / "quran_editions/parallel.jsonl.gz"):
        verses = {key: text for key, text in row.items() if key != "split"}
        if row["split"] != "train":
            out.heldout(*verses.values())
            continue
        for language, text in verses.items():
            out.add("texts", "quran", text=text, language=language)
            out.add("vectors", "quran", text=text, teacher_text=verses["en"], language=language)
        left, right = dice.sample(sorted(verses), 2)
        out.add("pairs", "quran", query=verses[left], document=verses[right], language=left)
    for row in read(data / "bible_verses_nt/verses.jsonl.gz"):
        if dice.random() < 0.15:
            out.add("texts", "bible", text=row["text"], language=row["lang"])


def chinese(data: Path, out: Output, dice: random.Random) -> None:
    """Classical and modern Chinese sentences (MIT)."""
    folder = data / "classical_modern_zh"
    for row in read(folder / "test.jsonl.gz"):
        out.heldout(row["query"], row["positive"])
    by_book: dict[str, list[str]] = {}
    for row in read(folder / "train_80k.jsonl.gz"):
        out.add("pairs", "classical-zh", query=row["query"], document=row["positive"],
                language="zh")  # fmt: skip
        by_book.setdefault(row["book"], []).append(row["positive"])
    for sentences in by_book.values():
        for start in range(0, len(sentences), 6):
            passage = "".join(sentences[start : start + 6])
            out.add("texts", "classical-zh", text=passage, language="zh")
            cloze(out, "classical-zh", passage, "zh", dice)


def sentences(data: Path, out: Output, dice: random.Random) -> None:
    """Sentence pairs: Japanese (JGLUE), Korean (KorSTS), Latvian, Indonesian languages (NusaX)."""
    japanese(data, out)
    korean(data, out)
    folder = data / "codexglue/Text-Text/text-to-text/data"
    for part in ("dev", "test"):
        for path in sorted((folder / part).glob("*.gz")):
            out.heldout(*lines(path))
    latvian, english = (lines(folder / f"train/lv-en.train.{kind}.gz") for kind in ("lv", "en"))
    for left, right in zip(latvian, english, strict=True):
        out.add("vectors", "lv-en", text=left, teacher_text=right, language="lv")
        out.english("lv-en", right)
        out.add("pairs", "lv-en", query=left, document=right, language="lv")
    nusax(data, out)


def japanese(data: Path, out: Output) -> None:
    """Captions that mean about the same (CC BY-SA 4.0). Captions of JNLI are of the same images."""
    for part in ("valid", "test"):
        for row in read(data / f"jglue/jnli-v1.3/{part}-v1.3.json.gz"):
            out.heldout(row["sentence1"], row["sentence2"])
    for part in ("train", "valid", "test"):
        for row in read(data / f"jglue/jsts-v1.3/{part}-v1.3.json.gz"):
            if part != "train":
                out.heldout(row["sentence1"], row["sentence2"])
                continue
            out.add("texts", "jsts", text=row["sentence1"], language="ja")
            if float(row["label"]) >= 3.5:
                out.add("pairs", "jsts", query=row["sentence1"], document=row["sentence2"],
                        language="ja")  # fmt: skip


def korean(data: Path, out: Output) -> None:
    """Sentences that mean about the same (CC BY-SA 4.0)."""
    for part in ("train", "dev", "test"):
        for line in lines(data / f"kornlu/KorSTS/sts-{part}.tsv.gz")[1:]:
            *_, score, left, right = line.split("\t")[:7]
            if part != "train":
                out.heldout(left, right)
                continue
            out.add("texts", "korsts", text=left, language="ko")
            if float(score) >= 3.5:
                out.add("pairs", "korsts", query=left, document=right, language="ko")


def nusax(data: Path, out: Output) -> None:
    """Parallel sentences in Indonesian languages and English (CC BY-SA 4.0)."""
    for part in ("train", "valid", "test"):
        with gzip.open(data / f"nusax/mt/{part}.csv.gz", "rt", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                texts = {name: text for name, text in row.items() if name and not name.isdigit()}
                if part != "train":
                    out.heldout(*texts.values())
                    continue
                for language, text in texts.items():
                    out.add("vectors", "nusax", text=text, teacher_text=texts["english"],
                            language=language)  # fmt: skip
