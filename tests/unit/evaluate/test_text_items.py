"""Rows to items: pairs, texts and candidates, and what is wrong with them."""

import random

import pytest

from mgte.errors import DataError
from mgte.evaluate.text_data import (
    TextRow,
    candidate_lists,
    drawn,
    items_hash,
    label_order,
    labelled_pairs,
    labelled_texts,
    scored_pairs,
    translation_pairs,
)


def rows_of(*fields):
    return [TextRow(place=f"x:{n}", fields=f) for n, f in enumerate(fields, start=1)]


def scored(score, first="a b"):
    return {"sentence1": first, "sentence2": "c", "score": score}


def labelled(label):
    return {"sentence1": "a", "sentence2": "b", "label": label}


def test_scores_may_stand_as_text_or_number():
    pairs = scored_pairs(rows_of(scored("2.50"), scored(5), scored(0.0)))
    assert [(pair.item_id, pair.score) for pair in pairs] == [("1", 2.5), ("2", 5.0), ("3", 0.0)]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([scored(5.1)], "x:1: field `score` is 5.1, expected 0 to 5.*score_range"),
        ([scored(1.0), scored("")], "x:2: field `score` is '', expected a number.*drop_empty"),
        ([scored(True)], "x:1: field `score` is True"),
        ([scored(float("nan"))], "x:1: field `score` is nan"),
        ([scored(1.0), scored(1)], "got 2 pairs with one score"),
        ([scored(1.0, first=" ")], "x:1: field `sentence1` is empty"),
        ([scored(1.0, first=7)], "x:1: field `sentence1` is 7, expected a text"),
        ([scored(1.0, first="a\ud800")], "lone surrogate at character 1"),
        ([{"a": 1}], "x:1: no field `score`; fields: a"),
    ],
)
def test_wrong_scored_pairs_are_named(fields, message):
    with pytest.raises(DataError, match=f"(?s){message}"):
        scored_pairs(rows_of(*fields))


def test_labels_decide_which_pairs_belong_together():
    rows = rows_of(*(labelled(name) for name in ("yes", "no", "maybe", "yes")))
    pairs = labelled_pairs(rows, positive=["yes"], negative=["no"], ignored=["maybe"])
    assert [(pair.item_id, pair.is_positive) for pair in pairs] == [
        ("1", True),
        ("2", False),
        ("4", True),
    ]
    with pytest.raises(DataError, match="x:3: field `label` is 'maybe', expected one of yes, no"):
        labelled_pairs(rows, positive=["yes"], negative=["no"])
    with pytest.raises(DataError, match="got 2 positive pairs of 2, expected positive and neg"):
        labelled_pairs(rows_of(labelled(1), labelled("1")))


def test_a_text_with_several_labels_or_none_is_left_out():
    rows = rows_of(*({"text": "t", "label": label} for label in (["a"], ["a", "b"], [], "b", 3)))
    texts = labelled_texts(rows)
    assert [(item.item_id, item.label) for item in texts] == [("1", "a"), ("4", "b"), ("5", "3")]
    with pytest.raises(DataError, match="x:5: field `label` is '3', expected one of a, b"):
        labelled_texts(rows, labels=("a", "b"))
    with pytest.raises(DataError, match="none of 1 rows has exactly one label"):
        labelled_texts(rows[1:2])
    with pytest.raises(DataError, match="x:1: field `label` is None, expected a label"):
        labelled_texts(rows_of({"text": "t", "label": None}))


def test_labels_are_numbered_by_value_or_name():
    def texts(*labels):
        return labelled_texts(rows_of(*({"text": "t", "label": label} for label in labels)))

    assert label_order(texts("10", "9", "-1")) == ("-1", "9", "10")
    assert label_order(texts("b", "a"), texts("c")) == ("a", "b", "c")
    assert label_order(texts("b", "a"), labels=("b", "a", "z")) == ("b", "a", "z")
    with pytest.raises(DataError, match="got a alone, expected at least two"):
        label_order(texts("a", "a"))


def test_all_layouts_of_candidates_give_the_same_lists():
    texts = {"one": 1, "two": 0, "three": 0}
    by_row = rows_of(*({"q": "ask", "d": text, "g": grade} for text, grade in texts.items()))
    lists = rows_of({"q": "ask", "d": "['one', 'two', \"three\"]", "g": "0"})
    json_lists = rows_of({"q": "ask", "d": '["one", "two", "three"]', "g": [0]})
    parts = rows_of({"q": "ask", "d": "one", "g": ["two", "three"]})
    names = {"query": "q", "document": "d", "grade": "g"}
    expected = candidate_lists(by_row, **names)
    assert dict(zip(expected[0].documents, expected[0].grades, strict=True)) == texts
    assert candidate_lists(lists, layout="lists", **names) == expected
    assert candidate_lists(json_lists, layout="lists", **names) == expected
    assert candidate_lists(parts, layout="parts", **names) == expected


def test_order_of_candidates_does_not_tell_which_are_right():
    rows = rows_of(*({"query": "q", "document": f"text {n}", "grade": n < 5} for n in range(40)))
    rows = [
        TextRow(place=r.place, fields=r.fields | {"grade": int(r.fields["grade"])}) for r in rows
    ]
    found = candidate_lists(rows)
    random.Random(1).shuffle(rows)
    assert candidate_lists(rows) == found
    assert found[0].grades[:5] != (1, 1, 1, 1, 1)


def test_queries_that_cannot_be_ranked_well_or_badly_are_left_out():
    def row(query, grade):
        return {"query": query, "document": f"{query}{grade}", "grade": grade}

    rows = rows_of(row("a", 0), row("b", 1), row("c", 1), row("c", 0))
    assert [(item.item_id, item.query) for item in candidate_lists(rows)] == [("3", "c")]
    with pytest.raises(DataError, match="none of 2 queries has relevant and other candidates"):
        candidate_lists(rows[:2])


@pytest.mark.parametrize(
    ("layout", "fields", "message"),
    [
        ("rows", {"query": "q", "document": "d", "grade": 0.5}, "is 0.5, expected a whole number"),
        ("rows", {"query": "q", "document": "d", "grade": -1}, "is -1, expected a whole number"),
        ("lists", {"query": "q", "document": ["a", "b"], "grade": 2}, "is 2, expected 0 to 1"),
        ("lists", {"query": "q", "document": ["a", "b"], "grade": "x"}, "is 'x', expected 0 to"),
        ("lists", {"query": "q", "document": "[]", "grade": 0}, "is an empty list"),
        ("lists", {"query": "q", "document": ["a", 7], "grade": 0}, r"`document`\[1\] is 7"),
        ("parts", {"query": "q", "document": ["a"]}, "no field `grade`"),
    ],
)
def test_wrong_candidates_are_named(layout, fields, message):
    with pytest.raises(DataError, match=message):
        candidate_lists(rows_of(fields), layout=layout)


def test_hash_of_items_knows_texts_order_and_parts():
    pairs = translation_pairs(rows_of(*({"source": s, "target": "t"} for s in "abcd")))
    other = translation_pairs(rows_of(*({"source": s, "target": "t"} for s in "abce")))
    hashes = {
        items_hash(pairs),
        items_hash(other),
        items_hash(pairs[::-1]),
        items_hash(pairs[:3]),
        items_hash(pairs[:2], pairs[2:]),
        items_hash(pairs[:1], pairs[1:]),
    }
    assert len(hashes) == 6
    assert items_hash(tuple(pairs)) == items_hash(list(pairs))


def test_drawn_items_keep_their_order_and_ids():
    pairs = translation_pairs(rows_of(*({"source": str(n), "target": "t"} for n in range(50))))
    some = drawn(pairs, 10, seed=3)
    numbers = [int(pair.item_id) for pair in some]
    assert numbers == sorted(numbers) and len(set(numbers)) == 10
    assert some == drawn(pairs, 10, seed=3) != drawn(pairs, 10, seed=4)
    assert drawn(pairs, 0, seed=0) == drawn(pairs, 99, seed=0) == pairs
