"""Reranking batches: a positive, hard negatives, and random ones that are no positives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.data.made_rows import made_groups

from mgte.data import DataConfig, LoadConfig, build_loader
from mgte.data.rerank_batches import cut_text
from mgte.text import Tokenizer, TrainingGroup


@pytest.fixture(scope="module")
def tokenizer(tokenizer_folder):
    return Tokenizer.load(tokenizer_folder)


def steps_of(dataset, tokenizer, num_steps=1, *, random_negatives=4, **changes):
    settings = {"dataset": "x", "max_length": 64, "max_query_length": 30, "rows_per_batch": 10}
    loader = build_loader(
        dataset,
        DataConfig(**settings | changes),
        LoadConfig(kind="reranking", random_negatives=random_negatives, prefetch=0),
        tokenizer=tokenizer,
        seed=1,
        stage="s",
    )
    return [loader.next_step() for _ in range(num_steps)]


def pairs_of(group, documents, tokenizer):
    encoded = tokenizer.encode_pairs([group.query] * len(documents), documents, max_length=64)
    return {tuple(ids.tolist()) for ids in encoded.ids}


def test_candidates_are_positive_hard_and_random(tokenizer):
    groups = made_groups({"a": 50}, tokenizer, num_negatives=3, num_positives=2)
    for step in steps_of(groups, tokenizer, 5, negatives=2, max_query_length=60):
        (batch,) = step.batches
        assert np.diff(batch.cu_candidates).tolist() == [1 + 2 + 4] * 10
        in_batch = [groups.made_groups[row] for row in batch.rows]
        for index, group in enumerate(in_batch):
            first, last = batch.cu_candidates[index : index + 2].tolist()
            own = [tuple(ids.tolist()) for ids in batch.pairs[first:last]]
            assert len(set(own)) == 7
            assert batch.labels[first:last].tolist() == [1, 0, 0, 0, 0, 0, 0]
            assert own[0] in pairs_of(group, group.positives, tokenizer)
            assert set(own[1:3]) <= pairs_of(group, group.negatives, tokenizer)
            others = [t for g in in_batch if g is not group for t in g.positives]
            assert set(own[3:]) <= pairs_of(group, others, tokenizer)
            assert np.isfinite(batch.teacher_scores[first : first + 3]).all()
            assert np.isnan(batch.teacher_scores[first + 3 : last]).all()
    assert [len(ids) for ids in batch.pairs] == [len(types) for types in batch.token_types]
    assert {int(n) for types in batch.token_types for n in types} == {0, 1}


def test_a_random_negative_is_never_a_positive_of_the_query(tokenizer):
    groups = made_groups({"a": 30}, tokenizer)
    shared = "The sea moon tide map."
    for row in range(0, 30, 2):  # half of the rows have this positive, differently written
        old = groups.made_groups[row]
        text = shared if row % 4 else shared.upper()
        groups.made_groups[row] = TrainingGroup(query=old.query, positives=(text,))
    for step in steps_of(groups, tokenizer, 6, random_negatives=8):
        (batch,) = step.batches
        bodies = tuple(tokenizer.encode_bare(shared)[0].tolist())
        for index, row in enumerate(batch.rows.tolist()):
            first, last = batch.cu_candidates[index : index + 2].tolist()
            ends = [tuple(ids[-len(bodies) - 1 : -1].tolist()) for ids in batch.pairs[first:last]]
            # Once as its own positive, at most once as another's.
            assert ends.count(bodies) <= 1
            assert (ends[0] == bodies) == (row % 2 == 0)


def test_another_answer_of_the_query_is_no_random_negative(tokenizer):
    groups = made_groups({"a": 30}, tokenizer)
    answers: dict[str, set[str]] = {}
    for row, old in enumerate(
        groups.made_groups
    ):  # every query has three rows, each its own answer
        query = groups.made_groups[row % 10].query
        asked = query if row < 10 else f"  {query.upper()}"
        groups.made_groups[row] = TrainingGroup(query=asked, positives=old.positives)
        answers.setdefault(query, set()).update(old.positives)
    checked = 0
    for step in steps_of(
        groups, tokenizer, 6, random_negatives=25, rows_per_batch=30, max_query_length=60
    ):
        (batch,) = step.batches
        for index, row in enumerate(batch.rows.tolist()):
            group = groups.made_groups[row]
            first, last = batch.cu_candidates[index : index + 2].tolist()
            (known,) = (a for query, a in answers.items() if query == group.query.lower().strip())
            own = [tuple(ids.tolist()) for ids in batch.pairs[first:last]]
            wrong = pairs_of(group, sorted(known - {*group.positives}), tokenizer)
            assert not wrong & set(own)
            others = [g for g in groups.made_groups if not known & {*g.positives}]
            expected = pairs_of(group, [g.positives[0] for g in others], tokenizer)
            assert set(own[1:]) <= expected
            assert len(own) == 1 + min(25, 27)
            checked += 1
    assert checked == 180


def test_a_small_batch_has_fewer_random_negatives(tokenizer):
    groups = made_groups({"a": 3}, tokenizer, num_negatives=1)
    for step in steps_of(groups, tokenizer, 4, random_negatives=4, negatives=6):
        (batch,) = step.batches
        assert set(np.diff(batch.cu_candidates).tolist()) == {1 + 1 + len(batch.rows) - 1}


def test_long_documents_are_cut_and_queries_survive(tokenizer):
    groups = made_groups({"a": 40}, tokenizer, num_negatives=1)
    for step in steps_of(groups, tokenizer, 4, max_length=24, max_query_length=8, negatives=1):
        (batch,) = step.batches
        assert max(map(len, batch.pairs)) == 24
        lost = 0
        for index, row in enumerate(batch.rows.tolist()):
            query = tokenizer.encode_bare(groups.made_groups[row].query)[0]
            first, last = batch.cu_candidates[index : index + 2].tolist()
            separator = tokenizer.role_ids["sep"]
            for pair in batch.pairs[first:last]:
                kept = pair[1 : pair.tolist().index(separator)].tolist()
                assert kept == query[: len(kept)].tolist()
                assert len(kept) in (7, 8) or len(kept) == len(query)
                lost += len(query) - len(kept)
        assert step.num_tokens_dropped >= lost


@given(limit=st.integers(1, 40), words=st.lists(st.sampled_from(["water", "xq", "tides"])))
def test_a_cut_text_is_a_beginning_that_fits(tiny_tokenizer, limit, words):
    text = " ".join(["map", *words, "moon" * 20])
    cut = cut_text(tiny_tokenizer, text, limit)
    assert text.startswith(cut)
    ids, whole = tiny_tokenizer.encode_bare([cut, text])
    assert 1 <= len(ids) <= limit
    assert ids.tolist() == whole[: len(ids)].tolist()


@pytest.fixture(scope="module")
def tiny_tokenizer(tokenizer):
    return tokenizer
