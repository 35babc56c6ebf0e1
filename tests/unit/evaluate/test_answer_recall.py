"""Recall by answer string, on cases made by hand."""

import unicodedata

import numpy as np
import pytest

from mgte.errors import DataError
from mgte.evaluate import answer_recall
from mgte.evaluate.answer_recall import ANSWER_METRICS, has_answer, measure_answers


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("New York", "She moved to NEW   YORK\nin 1920."),
        ("1920", "in (1920)."),
        ("3.5 %", "grew by 3.5% a year"),
        ("Straße", "die STRASSE".replace("SS", "ß")),
        (unicodedata.normalize("NFC", "café"), unicodedata.normalize("NFD", "the CAFÉ here")),
        ("St. John's", "near St. John\u2019s harbour"),
        ("1914-1918", "the war (1914\u20131918)"),
        ("北京", "北京"),
        ("हिन्दी", "यह हिन्दी है"),
        ("cooperate", "they co\u00adoperate"),
    ],
)
def test_an_answer_is_found(answer, text) -> None:
    assert has_answer(["something else", answer], text)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("York", "Yorkshire"),  # whole tokens only
        ("York New", "New York"),  # in their order
        ("New York", "New and York"),  # one after another
        ("cafe", "the café"),  # an accent is a letter's own
        ("京", "北京"),  # a run of letters is one token, in every script
        ("हिन्द", "यह हिन्दी है"),  # marks belong to the word
        ("", "anything"),
        ("  ", "anything"),
        ("d\u2019Arc", "Jeanne d'Arc"),  # answers are taken as they are, as in the source
    ],
)
def test_no_answer_is_made_up(answer, text) -> None:
    assert not has_answer([answer], text)


def test_recall_counts_queries_with_an_answer_up_to_the_depth() -> None:
    texts = {f"d{number}": f"filler {number}" for number in range(120)}
    texts["hit"] = "Title\nthe answer is forty two"
    others = [f"d{number}" for number in range(120)]
    rankings = {
        "first": ["hit", *others],
        "twentieth": [*others[:19], "hit"],
        "twenty-first": [*others[:20], "hit"],
        "deep": [*others[:100], "hit"],
    }
    answers = dict.fromkeys([*rankings, "not ranked"], ("forty-three", "FORTY two"))
    measured = measure_answers(rankings, answers, texts)
    assert set(measured["first"]) == set(ANSWER_METRICS)
    found = {
        query_id: [values[f"answer_recall_at_{k}"] for k in (1, 5, 20, 100)]
        for query_id, values in measured.items()
    }
    assert found == {
        "first": [1, 1, 1, 1],
        "twentieth": [0, 0, 1, 1],
        "twenty-first": [0, 0, 0, 1],
        "deep": [0, 0, 0, 0],
        "not ranked": [0, 0, 0, 0],
    }


def test_what_cannot_be_measured_is_told() -> None:
    with pytest.raises(DataError, match="answers: got none"):
        measure_answers({}, {}, {})
    with pytest.raises(DataError, match="ranked document d9 has no text"):
        measure_answers({"q": ["d9"]}, {"q": ("a",)}, {})


def test_tokens_are_those_of_the_published_pattern() -> None:
    regex = pytest.importorskip("regex")  # the standard library knows no such classes
    published = regex.compile(r"([\p{L}\p{N}\p{M}]+)|([^\p{Z}\p{C}])")
    codes = [c for c in range(0x30000) if unicodedata.category(chr(c)) not in ("Cn", "Cs")]
    assigned, random = np.array(codes), np.random.default_rng(2)
    for _ in range(2000):
        text = "".join(map(chr, random.choice(assigned, size=30)))
        expected = [match.group() for match in published.finditer(text)]
        assert answer_recall._pattern().findall(text) == expected
