"""Contrastive batches: which texts take part, what is cut, and what goes with them."""

import numpy as np
import pytest
from tests.unit.data.made_rows import made_groups, made_vectors

from mgte.data import DataConfig, LoadConfig, build_loader, text_hash
from mgte.text import Tokenizer


@pytest.fixture(scope="module")
def tokenizer(tokenizer_folder):
    return Tokenizer.load(tokenizer_folder)


def steps_of(dataset, tokenizer, num_steps=1, *, load=None, **changes):
    settings = {"dataset": "x", "max_length": 60, "max_query_length": 60, "rows_per_batch": 10}
    loader = build_loader(
        dataset,
        DataConfig(**settings | changes),
        load or LoadConfig(kind="contrastive", prefetch=0),
        tokenizer=tokenizer,
        seed=1,
        stage="s",
    )
    return [loader.next_step() for _ in range(num_steps)]


def test_texts_hashes_and_scores_go_together(tokenizer):
    groups = made_groups({"a": 60}, tokenizer, num_negatives=5, num_positives=3)
    (step,) = steps_of(groups, tokenizer, negatives=2)
    (batch,) = step.batches
    assert np.diff(batch.cu_documents).tolist() == [3] * 10
    for index, row in enumerate(batch.rows.tolist()):
        group = groups.made_groups[row]
        assert batch.query_hashes[index] == text_hash(group.query)
        assert np.array_equal(batch.queries[index], tokenizer.encode(group.query).ids[0])
        first, last = batch.cu_documents[index : index + 2].tolist()
        texts = dict(zip(group.positives, group.positive_scores, strict=True))
        negatives = dict(zip(group.negatives, group.negative_scores, strict=True))
        for place in range(first, last):
            side = texts if place == first else negatives
            by_hash = {text_hash(text): text for text in side}
            text = by_hash[batch.document_hashes[place]]
            assert batch.teacher_scores[place] == side[text]
            assert np.array_equal(batch.documents[place], tokenizer.encode(text).ids[0])
    assert step.num_tokens == sum(map(len, batch.queries)) + sum(map(len, batch.documents))
    assert step.num_tokens_dropped == 0


def test_every_positive_and_negative_gets_its_turn(tokenizer):
    groups = made_groups({"a": 4}, tokenizer, num_negatives=5, num_positives=3)
    seen: set[int] = set()
    for step in steps_of(groups, tokenizer, 60, negatives=2, rows_per_batch=2):
        for batch in step.batches:
            assert len(set(batch.document_hashes.tolist())) == len(batch.document_hashes)
            seen |= set(batch.document_hashes.tolist())
    everything = [t for g in groups.made_groups for t in (*g.positives, *g.negatives)]
    assert seen == {text_hash(text) for text in everything}


def test_fewer_negatives_than_wanted_are_taken_as_they_are(tokenizer):
    groups = made_groups({"a": 20}, tokenizer, num_negatives=3)
    (step,) = steps_of(groups, tokenizer, negatives=8)
    assert np.diff(step.batches[0].cu_documents).tolist() == [4] * 10
    pairs = made_groups({"a": 20}, tokenizer)
    (step,) = steps_of(pairs, tokenizer, negatives=8)
    assert np.diff(step.batches[0].cu_documents).tolist() == [1] * 10
    assert np.isnan(step.batches[0].teacher_scores).all()


def test_half_of_the_pairs_of_symmetric_sources_swap_sides(tokenizer):
    pairs = made_groups({"a": 400, "b": 400}, tokenizer, symmetric=(True, False))
    turned = {"a": 0, "b": 0}
    total = dict(turned)
    for step in steps_of(pairs, tokenizer, 80, rows_per_batch=20):
        for batch in step.batches:
            queries = [text_hash(pairs.made_groups[row].query) for row in batch.rows]
            turned[batch.source] += int((batch.query_hashes != queries).sum())
            turned_back = batch.document_hashes == queries
            assert ((batch.query_hashes == queries) | turned_back).all()
            total[batch.source] += len(queries)
    assert turned["b"] == 0
    assert abs(turned["a"] - total["a"] / 2) < 3 * np.sqrt(total["a"] / 4)


def test_texts_are_cut_to_their_limits_and_lost_tokens_counted(tokenizer):
    groups = made_groups({"a": 40}, tokenizer, num_negatives=2)
    lost = kept = 0
    for step in steps_of(groups, tokenizer, 4, max_query_length=9, max_length=14, negatives=2):
        (batch,) = step.batches
        assert max(map(len, batch.queries)) == 9
        assert max(map(len, batch.documents)) == 14
        rows = [groups.made_groups[row] for row in batch.rows]
        texts = [t for g in rows for t in (g.query, *g.positives, *g.negatives)]
        whole = sum(len(ids) + 2 for ids in tokenizer.encode_bare(texts))
        assert step.num_tokens + step.num_tokens_dropped == whole
        lost, kept = lost + step.num_tokens_dropped, kept + step.num_tokens
    assert lost > 0


def test_prompts_stand_before_texts_but_not_in_hashes(tokenizer):
    pairs = made_groups({"a": 30}, tokenizer)
    load = LoadConfig(
        kind="contrastive", query_prompt="what is ", document_prompt="the ", prefetch=0
    )
    (step,) = steps_of(pairs, tokenizer, load=load)
    (batch,) = step.batches
    for index, row in enumerate(batch.rows.tolist()):
        group = pairs.made_groups[row]
        query = tokenizer.encode(f"what is {group.query}").ids[0]
        assert np.array_equal(batch.queries[index], query)
        document = tokenizer.encode(f"the {group.positives[0]}").ids[0]
        assert np.array_equal(batch.documents[index], document)
        assert batch.query_hashes[index] == text_hash(group.query)


def test_vectors_stay_with_their_texts(tokenizer):
    load = LoadConfig(kind="vectors", prefetch=0)
    (step,) = steps_of(made_vectors(30), tokenizer, load=load, max_length=5)
    (batch,) = step.batches
    assert batch.vectors[:, 0].tolist() == batch.rows.tolist()
    assert {len(ids) for ids in batch.sequences} == {5}
    texts, _ = made_vectors(30).vector_rows(batch.rows)
    whole = sum(len(ids) + 2 for ids in tokenizer.encode_bare(texts))
    assert step.num_tokens + step.num_tokens_dropped == whole
