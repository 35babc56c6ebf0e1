"""A text that is cut before tokenising gives the ids of the whole text, on every kind."""

import time
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.text.made_tokenizers import BUILDERS
from tokenizers import models, normalizers, pre_tokenizers

from mgte.text import Tokenizer
from mgte.text.bodies import BodyEncoder
from mgte.text.cutting import build_cut_rules, find_cut, find_window, squeeze

BACKENDS = {kind: build() for kind, build in BUILDERS.items()}
RULES = {kind: build_cut_rules(backend) for kind, backend in BACKENDS.items()}

# What makes cutting hard: joining marks, whitespace of all kinds, special tokens, contractions.
HARD = [
    *" \t\n\r\u00a0\u3000\u2028\u200b.,;:!?-/()'’\"<>=_[]|，。「」0123",
    *"abcXYZßΣσİéｱ가ᄀ각กำคำ中国文字学あアガ\u0301\u0308\u3099\u0338\u200d\u0d4e\u093f",
    *("water", "river", " stone", "bridges", "don't", "we're", "12.5", "ΑΣ.Β", "x" * 130),
    *("[CLS]", "[SEP]", "</s>", "<s>", "<mask>", "[MASK]", "<|endoftext|>", "  ", "    "),
    *("👩\u200d👩\u200d👧", "👨🏽", "🇩🇪", "e\u0301", "中国文字研究", "the winter market garden "),
]
hard_texts = st.lists(st.sampled_from(HARD), max_size=120).map("".join)
plain_texts = st.lists(
    st.sampled_from(["water", "river", "s", "a", "中国", "文", "あア", " "]),
    min_size=40,
    max_size=200,
).map("".join)
any_texts = st.one_of(hard_texts, plain_texts)


def whole_ids(kind: str, text: str) -> list[int]:
    return BACKENDS[kind].encode(text, add_special_tokens=False).ids


@settings(max_examples=150, deadline=None, derandomize=True)
@given(text=any_texts, share=st.floats(0, 0.99))
@pytest.mark.parametrize("kind", sorted(BACKENDS))
def test_ids_before_a_cut_are_those_of_the_whole_text(kind: str, text: str, share: float) -> None:
    rules = RULES[kind]
    assert rules is not None
    near = int(share * len(text))
    if near == 0:
        return
    whole = whole_ids(kind, text)
    cut = find_cut(text, near, rules)
    if cut is not None:
        before = whole_ids(kind, text[:cut])
        assert whole[: len(before)] == before, (text[:cut], text[cut:])
    positions = find_window(text, near, rules)
    if positions:
        rows = [whole_ids(kind, text[:position]) for position in positions]
        agreed = 0
        while agreed < min(map(len, rows)) and len({row[agreed] for row in rows}) == 1:
            agreed += 1
        agreed = min(agreed, min(map(len, rows)) - 1)
        assert whole[: max(agreed, 0)] == rows[0][: max(agreed, 0)]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(text=any_texts, repeats=st.integers(1, 30), room=st.integers(0, 40))
@pytest.mark.parametrize("kind", sorted(BACKENDS))
def test_kept_ids_and_truncation_are_those_of_whole_tokenisation(
    kind: str, text: str, repeats: int, room: int
) -> None:
    text = text * repeats
    row = BodyEncoder(BACKENDS[kind]).encode([text], room, str)[0]
    whole = whole_ids(kind, text)
    assert row[:room] == whole[:room]
    assert (len(row) > room) == (len(whole) > room)


@pytest.mark.parametrize("kind", sorted(BACKENDS))
@pytest.mark.parametrize(
    "text",
    [
        "the winter market " * 20_000,
        "中国文字，研究。" * 20_000,
        "stone" * 50_000,
        "中国文字" * 20_000,
    ],
    ids=["words", "han", "one word", "han without punctuation"],
)
def test_long_inputs_give_the_ids_of_whole_tokenisation(kind: str, text: str) -> None:
    room = 500
    row = BodyEncoder(BACKENDS[kind]).encode([text], room, str)[0]
    whole = whole_ids(kind, text)
    assert row[:room] == whole[:room]
    assert (len(row) > room) == (len(whole) > room)


def test_the_cut_is_used_where_it_saves_work() -> None:
    tokenised: list[int] = []

    class Spy(BodyEncoder):
        def _encode_whole(self, pieces, texts, place):
            tokenised.extend(map(len, pieces))
            return super()._encode_whole(pieces, texts, place)

    samples = {
        "bert": ["the winter market " * 20_000, "中国文字" * 50_000, "stone" * 50_000],
        "unigram": ["the winter market " * 20_000, "中国文字" * 50_000, "stone" * 50_000],
        "byte-bpe": ["the winter market " * 20_000, "中国，文字。" * 50_000, "stone" * 50_000],
        "qwen-bpe": ["the winter market " * 20_000, "中国，文字。" * 50_000, "stone" * 50_000],
    }
    for kind, texts in samples.items():
        for text in texts:
            tokenised.clear()
            Spy(BACKENDS[kind]).encode([text], 100, str)
            assert sum(tokenised) < 40_000, (kind, text[:12])


def test_five_megabytes_in_one_line_take_well_under_a_second(minilm_folder: Path) -> None:
    tokenizer = Tokenizer.load(minilm_folder)
    for text in ("the winter market " * 280_000, "x" * 5_000_000, "中国文字" * 1_250_000):
        start = time.perf_counter()
        row = tokenizer.encode([text], max_length=512)
        assert time.perf_counter() - start < 0.8
        assert len(row.ids[0]) == (3 if text[0] == "x" else 512)


def test_long_words_are_squeezed_only_where_they_are_unknown_anyway() -> None:
    assert RULES["bert"] is not None and RULES["bert"].squeezes
    assert not any(RULES[kind].squeezes for kind in ("unigram", "byte-bpe", "qwen-bpe"))
    text = "water " + "a1" * 3000 + "\u0301 [SEP]" + "b" * 1999 + " river"
    assert len(squeeze(text)) == len(text) - 4000
    assert whole_ids("bert", squeeze(text)) == whole_ids("bert", text)


def test_special_tokens_are_never_cut_in_two() -> None:
    text = "water </s> river"
    for kind in BACKENDS:
        for near in range(1, len(text)):
            assert find_cut(text, near, RULES[kind]) != text.index("s>")
            assert find_cut("a[CLS]b", 5, RULES["bert"]) is None


def _replace(pattern: object, content: str):
    return lambda backend: setattr(backend, "normalizer", normalizers.Replace(pattern, content))


@pytest.mark.parametrize(
    ("change", "has_rules"),
    [
        (_replace("ing", ""), True),
        (_replace(" b", "x"), True),
        (_replace(tokenizers.Regex("g b"), "gb"), False),
        (lambda it: setattr(it, "pre_tokenizer", pre_tokenizers.UnicodeScripts()), False),
        (lambda it: setattr(it, "model", models.BPE(dropout=0.1)), False),
        (lambda it: it.add_tokens(["winter market"]), True),
    ],
    ids=["pattern", "pattern at a cut", "regex", "splitter", "dropout", "added token with a space"],
)
def test_what_is_not_understood_gives_no_unsafe_cut(change, has_rules: bool) -> None:
    backend = BUILDERS["bert"]()
    change(backend)
    rules = build_cut_rules(backend)
    assert (rules is not None) == has_rules
    if rules is None:
        return
    whole = backend.encode("the winter market bringing bread " * 200, add_special_tokens=False).ids
    for room in range(40, 60):
        text = "the winter market bringing bread " * 200
        assert BodyEncoder(backend).encode([text], room, str)[0][:room] == whole[:room]
