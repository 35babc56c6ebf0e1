"""Trained tokenizers: exact size, no unknown tokens, nothing lost, the same ids in transformers."""

import json
import random
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgte.data import train_tokenizer
from mgte.data.unigram_pieces import count_words, find_alphabet
from mgte.errors import ConfigError, DataError
from mgte.text import Tokenizer

STEMS = "water river stone bridge winter market garden letter window engine signal paper".split()
HAN = "水川石橋冬市園信窓机号紙銅銀港旅駅厨師医天山中国文字学的研究人"
SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
VOCAB_SIZE = 700
VALID_TEXT = st.text(st.characters(exclude_categories=("Cs",)))


def corpus() -> Iterator[tuple[str, str]]:
    """Made-up words of two syllables to four, frequent ones far more often, and some ideographs."""
    draw = random.Random(5)
    syllables = [a + b for a in "bdfgklmnprstvw" for b in ("a", "e", "i", "o", "u", "ar", "en")]
    words = ["".join(draw.choices(syllables, k=2 + i % 3)) for i in range(600)]
    weights = [1 / (1 + i) ** 0.7 for i in range(600)]
    for number in range(600):
        line = " ".join(draw.choices([*STEMS, *words], [0.2] * len(STEMS) + weights, k=9))
        yield "en", f"The {line}, don't: {number}!"
        yield "ja", "".join(draw.choices(HAN, k=12)) + "。中国文学"
        if number % 5 == 0:
            yield "de", f"Größe und Straße, {line}"


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def folder(request, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp(request.param) / "tokenizer"
    train_tokenizer(corpus(), out, vocab_size=VOCAB_SIZE, kind=request.param)
    return out


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer.load(folder)


def is_unigram(folder: Path) -> bool:
    content = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    return content["model"]["type"] == "Unigram"


def test_the_vocabulary_is_exactly_as_asked(tokenizer: Tokenizer) -> None:
    assert tokenizer.vocab_size == VOCAB_SIZE
    assert [tokenizer.token(number) for number in range(4)] == list(SPECIALS[:4])
    assert tokenizer.token(VOCAB_SIZE - 1) == "<mask>"
    assert len({tokenizer.token(number) for number in range(VOCAB_SIZE)}) == VOCAB_SIZE


@given(VALID_TEXT)
def test_no_text_is_unknown_and_none_is_lost(folder: Path, tokenizer: Tokenizer, text) -> None:
    if any(special in text for special in SPECIALS):
        return
    (ids,) = tokenizer.encode_bare(text)
    assert tokenizer.role_ids["unk"] not in ids
    backend = tokenizer._backend
    normalised = backend.normalizer.normalize_str(text)
    # "▁" stands for the space in Unigram pieces.
    expected = normalised.replace("▁", " ").lstrip(" ") if is_unigram(folder) else normalised
    decoded = tokenizer.decode(ids)
    assert decoded.lstrip(" ") == expected if is_unigram(folder) else decoded == expected


def test_text_that_looks_like_a_byte_is_text(tokenizer: Tokenizer) -> None:
    (ids,) = tokenizer.encode_bare("<0x41><0x42>")
    assert tokenizer.decode(ids) == "<0x41><0x42>"


def test_special_tokens_stand_as_in_xlm_r(tokenizer: Tokenizer) -> None:
    (single,) = tokenizer.encode("water").ids
    (pair,) = tokenizer.encode_pairs("water", "river").ids
    (water,), (river,) = tokenizer.encode_bare("water"), tokenizer.encode_bare("river")
    assert single.tolist() == [0, *water, 2]
    assert pair.tolist() == [0, *water, 2, 2, *river, 2]
    assert tokenizer.pad_id == 1


def test_transformers_gives_the_same_ids(folder: Path, tokenizer: Tokenizer) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(str(folder))
    texts = [text for _, text in corpus()][:60]
    texts += ["", "  x\t\n y ", "Ｗａｔｅｒ", "สวัสดี 안녕 🙂", "a <mask> b", "x<mask>", "▁a"]
    assert [ids.tolist() for ids in tokenizer.encode(texts).ids] == theirs(texts)["input_ids"]
    pairs = tokenizer.encode_pairs(texts, texts[::-1]).ids
    assert [ids.tolist() for ids in pairs] == theirs(texts, texts[::-1])["input_ids"]
    assert theirs.mask_token_id == VOCAB_SIZE - 1
    assert len(theirs) == VOCAB_SIZE


def test_truncation_takes_the_beginning_of_the_whole_text(tokenizer: Tokenizer) -> None:
    text = " ".join(text for _, text in corpus())
    (whole,) = tokenizer.encode_bare(text)
    (cut,) = tokenizer.encode(text, max_length=64).ids
    assert cut.tolist() == [0, *whole[:62], 2]


def test_another_process_trains_the_same(folder: Path, tmp_path: Path) -> None:
    kind = "unigram" if is_unigram(folder) else "bpe"
    code = (
        "import sys; from tests.unit.data.test_train_tokenizer import *\n"
        "train_tokenizer(corpus(), sys.argv[1], vocab_size=VOCAB_SIZE, kind=sys.argv[2])"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "again"), kind], check=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_training_on_words_shortens_text(tokenizer: Tokenizer) -> None:
    text = "The water, don't market the 中国文学"
    assert len(tokenizer.encode_bare(text)[0]) < 0.7 * len(text)


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_capitals_are_read_as_small_letters_where_asked(kind: str, tmp_path: Path) -> None:
    folded = train_tokenizer(
        corpus(), tmp_path / kind, vocab_size=VOCAB_SIZE, kind=kind, lowercase=True
    )
    written, small = folded.encode_bare(["The WATER, Größe", "the water, größe"])
    assert list(written) == list(small)


def test_bad_requests_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="vocab_size: got 100"):
        train_tokenizer(corpus(), tmp_path / "a", vocab_size=100)
    with pytest.raises(DataError, match="got no texts"):
        train_tokenizer(iter(()), tmp_path / "a", vocab_size=600)
    for kind in ("unigram", "bpe"):
        with pytest.raises(DataError, match=r"texts hold [\d,]+ pieces"):
            train_tokenizer(corpus(), tmp_path / "a", vocab_size=30_000, kind=kind)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(DataError, match="exists already"):
        train_tokenizer(corpus(), tmp_path / "full", vocab_size=600)
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_words_end_where_scripts_and_signs_meet() -> None:
    text = "don't 使用Python3 ก"
    alphabet = find_alphabet([text], 1000)
    words = dict(count_words([text], alphabet))
    assert words == dict.fromkeys(["▁don", "'", "t", "使用", "Python", "3", "ก"], 1)


def test_rare_characters_are_left_to_bytes() -> None:
    alphabet = find_alphabet(["水" * 5000 + "石"], 600)
    assert "水" in alphabet
    assert "石" not in alphabet


class Whole(str):
    """A text whose life can be watched."""


def test_of_a_document_only_its_beginning_is_held(tmp_path: Path) -> None:
    texts = [(language, f"{text} " + "tide " * 2500) for language, text in corpus()][:200]
    alive: list[weakref.ref] = []
    most_alive = 0

    def documents() -> Iterator[tuple[str, str]]:
        nonlocal most_alive
        for language, text in texts:
            whole = Whole(text + " and an end that is never read")
            alive.append(weakref.ref(whole))
            yield language, whole
            del whole
            most_alive = max(most_alive, sum(ref() is not None for ref in alive))

    for name, source in (("a", documents()), ("b", iter(texts))):
        train_tokenizer(source, tmp_path / name, vocab_size=600, kind="bpe")
    assert most_alive <= 2
    first, second = ((tmp_path / name / "tokenizer.json").read_bytes() for name in "ab")
    assert first == second
