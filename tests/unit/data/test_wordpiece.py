"""WordPiece of one's own: entries taken over come first, and texts are folded as described."""

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mgte.data import KeptEntries, train_tokenizer
from mgte.errors import ConfigError, DataError
from mgte.text import Tokenizer

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
STEMS = "water river stone bridge winter market garden letter window engine signal paper".split()
ENDINGS = ("", "s", "ing", "ed", "er", "ful", "less", "ly")
WORDS = [start + stem + end for stem in STEMS for start in ("", "over", "mid") for end in ENDINGS]
FOREIGN = "wasser flüsse brücke winter märkte garten briefe fenster motor zeichen papier".split()


def english() -> Iterator[tuple[str, str]]:
    draw = random.Random(3)
    for number in range(300):
        yield "en", f"The {' '.join(draw.choices(WORDS, k=8))}, don't: {number}!"


def mixed() -> Iterator[tuple[str, str]]:
    draw = random.Random(4)
    for _, text in english():
        yield "en", text
        yield "de", " ".join(draw.choices(FOREIGN, k=8))
        yield "zh", "".join(draw.choices("水川石橋冬市園信窓机号紙", k=8))
        yield "ko", "".join(draw.choices("한국어문장", k=4))
        yield "hi", "हिन्दी में"


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Tokenizer:
    out = tmp_path_factory.mktemp("start") / "tokenizer"
    return train_tokenizer(english(), out, vocab_size=560, kind="wordpiece", lowercase=True)


def made_vocab(tokenizer: Tokenizer) -> list[str]:
    return [tokenizer.token(number) for number in range(tokenizer.vocab_size)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, start: Tokenizer) -> Path:
    out = tmp_path_factory.mktemp("extended") / "tokenizer"
    train_tokenizer(
        mixed(), out, vocab_size=640, kind="wordpiece", lowercase=True, kept=KeptEntries(start, 500)
    )
    return out


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer.load(folder)


def pieces(tokenizer: Tokenizer, text: str) -> list[str]:
    return [tokenizer.token(int(number)) for number in tokenizer.encode_bare(text)[0]]


def test_entries_taken_over_come_first_and_new_ones_are_added(
    start: Tokenizer, tokenizer: Tokenizer
) -> None:
    entries = made_vocab(tokenizer)
    assert len(entries) == len(set(entries)) == 640
    assert entries[:505] == SPECIALS + made_vocab(start)[5:505]
    assert "水" in entries[505:]
    assert "[UNK]" not in pieces(tokenizer, "die flüsse, 水川 한국어")


def test_english_is_read_as_the_start_reads_it(start: Tokenizer, tokenizer: Tokenizer) -> None:
    kept = set(made_vocab(start)[:505])
    for _, text in english():
        if set(pieces(start, text)) <= kept:
            assert pieces(tokenizer, text) == pieces(start, text)


def test_texts_are_folded(tokenizer: Tokenizer) -> None:
    assert pieces(tokenizer, "Flüsse") == pieces(tokenizer, "flusse")
    assert pieces(tokenizer, "Ｗ𝐀ter") == pieces(tokenizer, "water")
    # Vowel signs of other scripts are letters: they stay.
    assert pieces(tokenizer, "हिन्दी") != pieces(tokenizer, "हनद")
    # A symbol does not take the word beside it along.
    assert pieces(tokenizer, "water🙂") == [*pieces(tokenizer, "water"), "[UNK]"]


def test_frames_are_those_of_bert(tokenizer: Tokenizer) -> None:
    (water,), (river,) = tokenizer.encode_bare("water"), tokenizer.encode_bare("river")
    single = tokenizer.encode("water")
    assert single.ids[0].tolist() == [2, *water, 3]
    pair = tokenizer.encode_pairs("water", "river")
    assert pair.ids[0].tolist() == [2, *water, 3, *river, 3]
    assert pair.token_type_ids is not None
    expected = [0] * (len(water) + 2) + [1] * (len(river) + 1)
    assert pair.token_type_ids[0].tolist() == expected


def test_transformers_gives_the_same_ids(folder: Path, tokenizer: Tokenizer) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(str(folder))
    texts = [text for _, text in mixed()][:40]
    texts += ["", "  x\t\n y ", "Ｗater", "50×2=100€", "हिन्दी में", "a [MASK] b"]
    assert [ids.tolist() for ids in tokenizer.encode(texts).ids] == theirs(texts)["input_ids"]
    ours, read = tokenizer.encode_pairs(texts, texts[::-1]), theirs(texts, texts[::-1])
    assert [ids.tolist() for ids in ours.ids] == read["input_ids"]
    assert ours.token_type_ids is not None
    assert [ids.tolist() for ids in ours.token_type_ids] == read["token_type_ids"]


def test_another_process_trains_the_same(folder: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]); from test_wordpiece import *\n"
        "from pathlib import Path; out = Path(sys.argv[1])\n"
        "start = train_tokenizer(english(), out / 'a', vocab_size=560, kind='wordpiece',"
        " lowercase=True)\n"
        "train_tokenizer(mixed(), out / 'b', vocab_size=640, kind='wordpiece', lowercase=True,"
        " kept=KeptEntries(start, 500))"
    )
    here = str(Path(__file__).parent)
    subprocess.run([sys.executable, "-c", code, str(tmp_path), here], check=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "b" / name).read_bytes() == (folder / name).read_bytes()


def test_bad_requests_are_named(start: Tokenizer, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def ask(**changes) -> None:
        asked = {"vocab_size": 600, "kind": "wordpiece", "lowercase": True}
        train_tokenizer(mixed(), out, **(asked | changes))

    with pytest.raises(ConfigError, match=r"keep: got 5,000, but the start has [\d,]+ entries"):
        ask(kept=KeptEntries(start, 5_000), vocab_size=6_000)
    with pytest.raises(ConfigError, match="keep: got 555, expected at most 507"):
        ask(kept=KeptEntries(start, 555), vocab_size=512)
    with pytest.raises(ConfigError, match='kind: got "unigram" with entries to take over'):
        ask(kind="unigram", kept=KeptEntries(start, 10))
    with pytest.raises(DataError, match=r"texts hold [\d,]+ pieces, expected at least 30,000"):
        ask(vocab_size=30_000)
    unigram = train_tokenizer(mixed(), tmp_path / "u", vocab_size=600)
    with pytest.raises(ConfigError, match="start_from: has a tokenizer of kind Unigram"):
        ask(kept=KeptEntries(unigram, 10))
    assert not out.exists()
