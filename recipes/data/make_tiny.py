"""Makes recipes/data/tiny: a small multilingual collection of questions about invented things.

    python recipes/data/make_tiny.py

Texts come from tiny_templates.yaml, names from syllables, everything from one seed; running this
again gives the same files. The rivers, towns and birds of the dev part occur in no training file.

    texts.jsonl         text, language                              masked language modelling
    questions.jsonl     query, document, language                   contrastive pre-training
    translations.jsonl  query, document (one fact, two languages)   contrastive pre-training
    groups.jsonl        query, positives, negatives, language       fine-tuning, reranking
    dev/                BEIR folder: corpus.jsonl, queries.jsonl, qrels/dev.tsv
"""

import json
import random
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
OUT = HERE / "tiny"
LANGUAGES = ("en", "de", "fr", "es", "zh")
TRAIN_NAMES, DEV_NAMES = 120, 30
NEGATIVES_OF_SAME_FACT = 4
STARTS = "b br d dr f fl g gr h k kl l m n p r s st t tr v w z".split()
VOWELS = "a e i o u ai ei au".split()
ENDS = "l lm n nd r rk s st t x".split()


def make_names(draw: random.Random, count: int) -> list[str]:
    """Different invented names."""
    names: list[str] = []
    while len(names) < count:
        syllables = [draw.choice(STARTS) + draw.choice(VOWELS) for _ in range(draw.choice((2, 3)))]
        name = ("".join(syllables) + draw.choice(ENDS)).capitalize()
        if name not in names:
            names.append(name)
    return names


def make_value(draw: random.Random, values: Any, names: list[str], language: str) -> str:
    """What a fact says: another name, a number, or a word."""
    if values == "name":
        return draw.choice(names)
    if isinstance(values[0], int):
        return str(draw.randint(*values))
    return str(draw.choice(values)[language])


def tell(fact: dict[str, Any], name: str, language: str, names: list[str], fillers: Any) -> str:
    """The document of a fact; the same value and filler in every language."""
    draw = random.Random(f"{fact['kind']} {fact['about']} {name}")
    value = make_value(draw, fact["values"], names, language)
    filler = fillers[language][draw.randrange(4)]
    between = "" if language == "zh" else " "
    return fact[language]["document"].format(name=name, value=value) + between + filler


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows as JSONL."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8")


def negatives_of(
    draw: random.Random, fact: dict[str, Any], name: str, language: str, world: dict[str, Any]
) -> list[str]:
    """Other facts about the same thing, and the same fact about other things."""
    others = [f for f in world["facts"] if f["kind"] == fact["kind"] and f is not fact]
    peers = [n for n in world["things"][fact["kind"]] if n != name]
    told = [tell(other, name, language, world["values"], world["fillers"]) for other in others]
    told += [
        tell(fact, peer, language, world["values"], world["fillers"])
        for peer in draw.sample(peers, NEGATIVES_OF_SAME_FACT)
    ]
    return told


def main() -> None:
    """Write all files."""
    templates = yaml.safe_load((HERE / "tiny_templates.yaml").read_text("utf-8"))
    facts, fillers = templates["facts"], templates["fillers"]
    draw = random.Random(20240729)
    kinds = sorted({fact["kind"] for fact in facts})
    names = make_names(draw, TRAIN_NAMES + DEV_NAMES)
    train, dev = names[:TRAIN_NAMES], names[TRAIN_NAMES:]
    world = {
        "facts": facts,
        "fillers": fillers,
        "values": make_names(draw, 40),
        "things": {kind: train[i :: len(kinds)] for i, kind in enumerate(kinds)},
    }
    texts, questions, translations, groups = [], [], [], []
    for fact in facts:
        for position, name in enumerate(world["things"][fact["kind"]]):
            language = LANGUAGES[position % len(LANGUAGES)]
            other = LANGUAGES[(position + 1 + position // 5 % 4) % len(LANGUAGES)]
            document = tell(fact, name, language, world["values"], fillers)
            translated = tell(fact, name, other, world["values"], fillers)
            first, second = (query.format(name=name) for query in fact[language]["queries"])
            texts.append({"text": document, "language": language})
            texts.append({"text": translated, "language": other})
            questions.append({"query": first, "document": document, "language": language})
            translations.append({"query": document, "document": translated})
            negatives = negatives_of(draw, fact, name, language, world)
            groups.append(
                {
                    "query": second,
                    "positives": [document],
                    "negatives": negatives,
                    "language": language,
                }
            )
    for title, rows in (("texts", texts), ("questions", questions), ("groups", groups)):
        draw.shuffle(rows)
        write(OUT / f"{title}.jsonl", rows)
    write(OUT / "translations.jsonl", translations)
    write_dev(facts, kinds, dev, world)


def write_dev(
    facts: list[dict[str, Any]], kinds: list[str], names: list[str], world: dict[str, Any]
) -> None:
    """A BEIR folder about things that no training file names."""
    corpus, queries, judgements = [], [], ["query-id\tcorpus-id\tscore\n"]
    for fact in facts:
        for position, name in enumerate(names[kinds.index(fact["kind"]) :: len(kinds)]):
            language = LANGUAGES[position % len(LANGUAGES)]
            identity = f"{fact['kind']}-{fact['about']}-{name.lower()}"
            document = tell(fact, name, language, world["values"], world["fillers"])
            query = fact[language]["queries"][position % 2].format(name=name)
            corpus.append({"_id": identity, "title": "", "text": document})
            queries.append({"_id": f"q-{identity}", "text": query})
            judgements.append(f"q-{identity}\t{identity}\t1\n")
    write(OUT / "dev" / "corpus.jsonl", corpus)
    write(OUT / "dev" / "queries.jsonl", queries)
    (OUT / "dev" / "qrels").mkdir(exist_ok=True)
    (OUT / "dev" / "qrels" / "dev.tsv").write_text("".join(judgements), encoding="utf-8")


if __name__ == "__main__":
    main()
