"""Law 3: packing and unpacking are each other's inverse."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mgte.errors import DataError
from mgte.packing import (
    first_rows,
    last_rows,
    pack,
    plan_balanced_batches,
    plan_batches,
    pool,
    sequence_of_token,
    unpack,
)

sequences = st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=20), min_size=1, max_size=10)


def test_layout_by_hand():
    batch = pack([[7, 8], [9], [4, 5, 6]])
    assert batch.input_ids.tolist() == [7, 8, 9, 4, 5, 6]
    assert batch.position_ids.tolist() == [0, 1, 0, 0, 1, 2]
    assert batch.cu_seqlens.tolist() == [0, 2, 3, 6]
    assert batch.cu_seqlens.dtype == torch.int32
    assert (len(batch), batch.num_tokens, batch.max_seqlen) == (3, 6, 3)
    assert batch.offsets == (0, 2, 3, 6)
    assert first_rows(batch).tolist() == [0, 2, 3]
    assert last_rows(batch).tolist() == [1, 2, 5]
    assert sequence_of_token(batch).tolist() == [0, 0, 1, 2, 2, 2]


@given(sequences)
def test_unpack_gives_back_what_was_packed(ids):
    batch = pack(ids, token_type_ids=[[i % 2 for i in row] for row in ids])
    assert [row.tolist() for row in unpack(batch.input_ids, batch)] == ids
    assert [row.tolist() for row in unpack(batch.token_type_ids, batch)] == [
        [i % 2 for i in row] for row in ids
    ]


@pytest.mark.parametrize("pooling", ["cls", "last", "mean", "max"])
@given(ids=sequences)
def test_pooling_equals_each_sequence_alone(pooling, ids):
    batch = pack(ids)
    values = torch.stack([batch.input_ids * 0.5, -batch.input_ids * 0.1], dim=1)
    alone = {
        "cls": lambda x: x[0],
        "last": lambda x: x[-1],
        "mean": lambda x: x.mean(0),
        "max": lambda x: x.amax(0),
    }[pooling]
    expected = torch.stack([alone(part) for part in unpack(values, batch)])
    torch.testing.assert_close(pool(values, batch, pooling), expected)


def test_bad_input_names_the_sequence():
    with pytest.raises(DataError, match="at least one"):
        pack([])
    with pytest.raises(DataError, match="sequence 1: has no tokens"):
        pack([[1], []])
    with pytest.raises(DataError, match="token_type_ids"):
        pack([[1, 2]], token_type_ids=[[0]])


@given(
    lengths=st.lists(st.integers(1, 50), max_size=40),
    budget=st.integers(1, 120),
    limit=st.one_of(st.none(), st.integers(1, 5)),
)
def test_plan_keeps_budget_and_every_index_once(lengths, budget, limit):
    groups = plan_batches(lengths, max_tokens=budget, max_sequences=limit)
    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    for group in groups:
        assert sum(lengths[index] for index in group) <= budget or len(group) == 1
        assert limit is None or len(group) <= limit
    assert len(groups) <= len(lengths)
    flat = [lengths[index] for group in groups for index in group]
    assert flat == sorted(flat, reverse=True)


@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=40),
    budget=st.integers(1, 300),
    workers=st.integers(1, 4),
)
def test_balanced_plan_gives_every_worker_as_much(lengths, budget, workers):
    groups = plan_balanced_batches(lengths, max_tokens=budget, num_workers=workers)
    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    sizes = [sum(lengths[index] for index in group) for group in groups]
    assert all(size <= budget or len(group) == 1 for size, group in zip(sizes, groups, strict=True))
    if groups != plan_batches(lengths, max_tokens=budget):
        assert sizes == sorted(sizes, reverse=True)
        assert len(groups) % workers == 0 or len(groups) == len(lengths)
        assert sizes[0] - sizes[-1] <= max(lengths)


def test_plan_refuses_nonsense():
    with pytest.raises(DataError, match="max_tokens: got 0"):
        plan_batches([1], max_tokens=0)
    with pytest.raises(DataError, match="sequence 1: has no tokens"):
        plan_batches([1, 0], max_tokens=9)
