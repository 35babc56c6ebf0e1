"""Rows of a plan: cutting, thinning, cells, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.data.made_rows import made_groups, made_texts

from mgte.data import DataConfig, LengthBucket, RowShape, SamplingConfig
from mgte.data.plan_rows import cut_texts, plan_rows
from mgte.errors import ConfigError, DataError
from mgte.text import Tokenizer

TEXTS = RowShape(kind="masked_lm", pad_tokens=2)


def config(**changes):
    return DataConfig(**{"dataset": "x", "max_length": 32, "rows_per_batch": 4} | changes)


@given(lengths=st.lists(st.integers(1, 200), min_size=1, max_size=30), room=st.integers(1, 50))
def test_parts_cover_every_token_once(lengths, room):
    rows, starts, stops = cut_texts(np.arange(len(lengths)), np.array(lengths), room)
    assert (stops > starts).all()
    assert (stops - starts <= room).all()
    for row, length in enumerate(lengths):
        parts = np.flatnonzero(rows == row)
        covered = [token for part in parts for token in range(starts[part], stops[part])]
        assert covered == list(range(length))


def test_long_texts_become_parts_and_special_tokens_are_counted():
    found = plan_rows(made_texts({"a": 3}, lengths=[30, 31, 65]), config(), TEXTS, seed=1)
    assert found.rows.tolist() == [0, 1, 1, 2, 2, 2]
    assert found.starts.tolist() == [0, 0, 30, 0, 30, 60]
    assert found.stops.tolist() == [30, 30, 31, 30, 60, 65]
    assert found.costs.tolist() == [32, 32, 3, 32, 32, 7]
    assert found.num_cut == 2


def test_rows_without_tokens_are_left_out_and_counted(tokenizer_folder):
    texts = made_texts({"a": 4}, lengths=[0, 5, 0, 6])
    found = plan_rows(texts, config(), TEXTS, seed=1)
    assert found.rows.tolist() == [1, 3]
    assert found.num_empty == 2
    pairs = made_groups({"a": 5}, Tokenizer.load(tokenizer_folder))
    pairs.query_lengths[1], pairs.lengths[2] = 0, 0
    found = plan_rows(pairs, config(), RowShape(kind="contrastive", pad_tokens=2), seed=1)
    assert found.rows.tolist() == [0, 3, 4]


def test_short_rows_are_thinned_by_seed_and_row():
    lengths = np.where(np.arange(4000) % 2, 5, 20)
    texts = made_texts({"a": 4000}, lengths=lengths)
    thinned = config(sampling=SamplingConfig(short_below=10, short_keep=0.25))
    found = plan_rows(texts, thinned, TEXTS, seed=1)
    assert np.isin(np.flatnonzero(lengths == 20), found.rows).all()
    kept = len(found.rows) - 2000
    assert abs(kept - 500) < 4 * np.sqrt(2000 * 0.25 * 0.75)
    assert found.num_thinned == 2000 - kept
    again = plan_rows(texts, thinned, TEXTS, seed=1)
    other = plan_rows(texts, thinned, TEXTS, seed=2)
    assert found.rows.tolist() == again.rows.tolist() != other.rows.tolist()


def test_cells_partition_the_rows():
    texts = made_texts({"a": 60, "b": 40})
    buckets = (LengthBucket(up_to=16, rows=8), LengthBucket(up_to=32, rows=4))
    for single in (True, False):
        for by in ("source", "language"):
            sampling = SamplingConfig(by=by, single_source=single)
            settings = config(rows_per_batch=0, buckets=buckets, sampling=sampling)
            found = plan_rows(texts, settings, TEXTS, seed=1)
            assert np.sort(found.order).tolist() == list(range(len(found.rows)))
            parts = np.split(found.order, found.cell_starts[1:])
            for cell, items in zip(found.cells, parts, strict=True):
                assert len(items) == cell.num_rows
                assert found.costs[items].sum() == cell.num_tokens
                assert ((found.costs[items] > 16) == (cell.bucket == 1)).all()
                if single:
                    sources = {texts.sources[s] for s in texts.source_ids[found.rows[items]]}
                    assert sources == {cell.source}
                else:
                    assert cell.source == "mixed"
            assert len({cell.name for cell in found.cells}) == len(found.cells)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"max_length": 2}, ConfigError, "max_length: got 2, expected more than the 2 tokens"),
        (
            {"rows_per_batch": 0, "buckets": (LengthBucket(up_to=16, rows=1),)},
            ConfigError,
            "buckets: the last one takes rows up to 16 tokens, expected at least 32",
        ),
        (
            {
                "rows_per_batch": 0,
                "buckets": (LengthBucket(up_to=9, rows=1), LengthBucket(up_to=9, rows=1)),
            },
            ConfigError,
            "expected ascending numbers",
        ),
        (
            {"sampling": SamplingConfig(short_below=1000, short_keep=0.0)},
            DataError,
            "source 'a': has no rows left",
        ),
    ],
)
def test_errors(changes, error, message):
    with pytest.raises(error, match=message):
        plan_rows(made_texts({"a": 50, "b": 5}), config(**changes), TEXTS, seed=1)


def test_an_empty_source_is_an_error_unless_it_always_rests():
    texts = made_texts({"a": 3, "empty": 2}, lengths=[5, 5, 5, 0, 0])
    with pytest.raises(DataError, match="source 'empty': has no rows left"):
        plan_rows(texts, config(), TEXTS, seed=1)
    resting = config(sampling=SamplingConfig(weights={"empty": 0.0}))
    assert len(plan_rows(texts, resting, TEXTS, seed=1).rows) == 3


def test_the_dataset_must_hold_what_the_batches_need():
    with pytest.raises(ConfigError, match="holds texts, expected pairs or groups for contrastive"):
        shape = RowShape(kind="contrastive", pad_tokens=2)
        plan_rows(made_texts({"a": 5}), config(), shape, seed=1)
