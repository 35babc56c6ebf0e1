"""The plan: pure in the step, every row once per epoch, shares as settings say, budgets kept."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.data.made_rows import made_groups, made_texts

from mgte.data import BatchPlan, DataConfig, LengthBucket, Points, RowShape, SamplingConfig
from mgte.errors import CheckpointError, ConfigError
from mgte.text import Tokenizer

COUNTS = {"a": 300, "b": 40, "c": 5}
BUCKETS = (LengthBucket(up_to=16, rows=12), LengthBucket(up_to=32, rows=5))
SIZES = {
    "rows": {"rows_per_batch": 16},
    "growing": {"rows_per_batch": Points(points=((0, 4.0), (9, 30.0)), interpolate="linear")},
    "tokens": {"tokens_per_batch": 300},
    "buckets": {"buckets": BUCKETS},
}
KINDS = ("masked_lm", "contrastive")


def plan_of(size="rows", *, single=True, by="source", kind="masked_lm", seed=1, **changes):
    texts = made_texts(COUNTS)
    if kind == "contrastive":
        texts.kind = "pairs"
        texts.query_lengths = np.full(texts.num_rows, 3)
    sampling = SamplingConfig(by=by, single_source=single, **changes.pop("sampling", {}))
    settings = {"dataset": "x", "max_length": 32, "batches_per_step": 2} | SIZES[size] | changes
    if size == "tokens" and kind == "contrastive":
        settings["tokens_per_batch"] = 500
    config = DataConfig(sampling=sampling, **settings)
    shape = RowShape(kind=kind, pad_tokens=2)
    return BatchPlan(texts, config, seed=seed, stage="s", pad_tokens=2, shape=shape)


def flat(step):
    """What a step decides, comparable."""
    return [
        (b.step, b.index, b.source, b.rows.tolist(), b.starts.tolist(), b.stops.tolist())
        for b in step.batches
    ]


ALL = list(itertools.product(SIZES, (True, False), ("source", "language"), KINDS))


@pytest.mark.parametrize(("size", "single", "by", "kind"), ALL)
def test_a_step_is_the_same_however_it_is_reached(size, single, by, kind):
    make = {"single": single, "by": by, "kind": kind}
    plan = plan_of(size, **make)
    straight = [flat(plan.step(step)) for step in range(40)]
    for step in (39, 7, 0, 23):  # jumps forwards and backwards in a fresh plan
        assert flat(plan_of(size, **make).step(step)) == straight[step]
    assert flat(plan.step(7)) == straight[7]
    assert flat(plan.step(30)) == straight[30]
    stopped = plan_of(size, **make)
    stopped.step(16)
    resumed = plan_of(size, **make)
    resumed.restore(stopped.state())
    assert [flat(resumed.next_step()) for _ in range(17, 40)] == straight[17:]


ANNEALED = {
    "alpha": Points(points=((0, 1.0), (2000, 0.2)), interpolate="linear"),
    "weights": {"b": Points(points=((0, 0.0), (1020, 3.0)))},
}


@pytest.mark.parametrize(("size", "single"), list(itertools.product(SIZES, (True, False))))
def test_changing_probabilities_are_pure_in_the_step_too(size, single):
    plan = plan_of(size, single=single, sampling=ANNEALED)
    straight = {step: flat(plan.step(step)) for step in range(1010, 1035)}
    for step in (1030, 1019, 1024):
        assert flat(plan_of(size, single=single, sampling=ANNEALED).step(step)) == straight[step]
    resumed = plan_of(size, single=single, sampling=ANNEALED)
    plan.step(1022)
    resumed.restore(plan.state())
    assert flat(resumed.next_step()) == straight[1023]


@pytest.mark.parametrize(("size", "single", "by", "kind"), ALL)
def test_every_row_once_per_epoch_in_new_orders(size, single, by, kind):
    plan = plan_of(size, single=single, by=by, kind=kind)
    seen: dict[str, list[tuple[int, int]]] = {cell.name: [] for cell in plan.rows.cells}
    items = list(zip(plan.rows.rows.tolist(), plan.rows.starts.tolist(), strict=True))
    parts = np.split(plan.rows.order, plan.rows.cell_starts[1:])
    cell_of = {
        items[item]: cell.name
        for cell, own in zip(plan.rows.cells, parts, strict=True)
        for item in own.tolist()
    }
    for step in range(150):
        for batch in plan.step(step).batches:
            for item in zip(batch.rows.tolist(), batch.starts.tolist(), strict=True):
                seen[cell_of[item]].append(item)
    drawn = plan.state()
    for cell, own in zip(plan.rows.cells, parts, strict=True):
        given_rows, size_ = seen[cell.name], cell.num_rows
        assert drawn[f"rows of {cell.name}"] == len(given_rows)
        counts = [given_rows.count(items[item]) for item in own.tolist()]
        # However far the last epoch has come, no row is ahead of another by more than one.
        assert max(counts) - min(counts) <= 1
        assert max(counts) == -(-len(given_rows) // size_)
        if single and len(given_rows) >= 2 * size_ and size_ > 6:
            first, second = given_rows[:size_], given_rows[size_ : 2 * size_]
            assert set(first) == set(second)
            assert first != second


@pytest.mark.parametrize(("size", "single"), list(itertools.product(SIZES, (True, False))))
def test_no_row_twice_in_a_contrastive_batch(size, single):
    plan = plan_of(size, single=single, kind="contrastive")
    for step in range(150):
        for batch in plan.step(step).batches:
            assert len(set(batch.rows.tolist())) == len(batch)


def test_batches_are_full_unless_a_cell_has_fewer_than_two_of_them():
    plan = plan_of("rows", kind="contrastive", sampling={"alpha": 0.0})
    sizes: dict[str, set[int]] = {name: set() for name in COUNTS}
    for step in range(200):
        for batch in plan.step(step).batches:
            sizes[batch.source].add(len(batch))
    assert sizes == {"a": {16}, "b": {16}, "c": {5}}
    masked = plan_of("rows", sampling={"alpha": 0.0})
    assert {len(b) for step in range(50) for b in masked.step(step).batches} == {16}


def test_a_cell_of_one_and_a_half_batches_is_divided_evenly():
    plan = plan_of("rows", kind="contrastive", rows_per_batch=25, sampling={"weights": ONLY_B})
    assert {len(b) for step in range(50) for b in plan.step(step).batches} == {20}


ONLY_B = {"a": 0.0, "c": 0.0}


def chi_square(counts, expected):
    return float(((counts - expected) ** 2 / expected).sum())


def test_batches_are_drawn_as_equation_one_says():
    plan = plan_of("rows", sampling={"alpha": 0.5, "weights": {"b": 2.0}})
    names = list(COUNTS)
    # Rows of the plan: parts of long texts count each.
    rows = np.bincount(made_texts(COUNTS).source_ids[plan.rows.rows])
    rates = np.sqrt(rows / rows.sum()) * [1, 2, 1]
    drawn = [names.index(b.source) for step in range(3000) for b in plan.step(step).batches]
    counts = np.bincount(drawn)
    # 2 degrees of freedom: exceeded once in 1000 seeds.
    assert chi_square(counts, 6000 * rates / rates.sum()) < 13.8


def test_buckets_are_drawn_so_that_rows_are_seen_equally_often():
    plan = plan_of("buckets", sampling={"alpha": 1.0})
    plan.step(3000)
    drawn = plan.state()
    epochs = [drawn[f"rows of {cell.name}"] / cell.num_rows for cell in plan.rows.cells[:2]]
    assert epochs[0] == pytest.approx(epochs[1], rel=0.1)


def test_slots_of_mixed_batches_follow_the_probabilities_closely():
    plan = plan_of("rows", single=False, by="language", sampling={"alpha": 0.5})
    languages = made_texts(COUNTS).language_ids
    rows = np.bincount(languages[plan.rows.rows])
    rates = np.sqrt(rows) / np.sqrt(rows).sum()
    total = np.zeros(3)
    for step in range(300):
        for batch in plan.step(step).batches:
            counts = np.bincount(languages[batch.rows], minlength=3)
            assert (np.abs(counts - 16 * rates) < 1).all()
            total += counts
    assert total / total.sum() == pytest.approx(rates, abs=0.01)


def test_slots_under_a_budget_follow_the_probabilities():
    plan = plan_of("tokens", single=False, by="language", sampling={"alpha": 0.0})
    languages = made_texts(COUNTS).language_ids
    drawn = [languages[b.rows] for step in range(400) for b in plan.step(step).batches]
    counts = np.bincount(np.concatenate(drawn))
    assert chi_square(counts, np.full(3, counts.sum() / 3)) < 13.8


def test_groups_rest_and_wake_by_step():
    wake = Points(points=((0, 0.0), (10, 1.0)))
    plan = plan_of("rows", sampling={"weights": {"b": wake}, "alpha": 0.0})
    drawn = [b.source for step in range(60) for b in plan.step(step).batches]
    assert "b" not in drawn[:20]
    assert "b" in drawn[20:]


@pytest.mark.parametrize("size", SIZES)
def test_single_source_batches_hold_one_source_and_bucket(size):
    plan, texts = plan_of(size), made_texts(COUNTS)
    for step in range(60):
        for batch in plan.step(step).batches:
            assert {texts.sources[s] for s in texts.source_ids[batch.rows]} == {batch.source}
            if size == "buckets":
                lengths = batch.stops - batch.starts + 2
                assert (lengths <= 16).all() or (lengths > 16).all()


@given(
    lengths=st.lists(st.integers(1, 90), min_size=1, max_size=60),
    budget=st.integers(34, 400),
    single=st.booleans(),
    kind=st.sampled_from(KINDS),
)
def test_a_budget_is_never_exceeded_and_well_used(lengths, budget, single, kind):
    texts = made_texts({"a": len(lengths)}, lengths=lengths)
    if kind == "contrastive":
        texts.kind, budget = "pairs", budget + 5
        texts.query_lengths = np.full(len(lengths), 3)
    config = DataConfig(
        dataset="x",
        max_length=32,
        tokens_per_batch=budget,
        sampling=SamplingConfig(single_source=single),
    )
    shape = RowShape(kind=kind, pad_tokens=2)
    plan = BatchPlan(texts, config, seed=1, stage="s", pad_tokens=2, shape=shape)
    costs = plan.rows.costs
    longest = int(costs.max())
    for step in range(8):
        (batch,) = plan.step(step).batches
        assert 1 <= len(batch)
        assert batch.num_tokens <= budget
        if kind == "masked_lm":
            assert batch.num_tokens == int((batch.stops - batch.starts + 2).sum())
            assert batch.num_tokens + longest > budget  # one more would not have fitted


def test_seeds_and_stages_differ_and_orders_of_settings_do_not_matter():
    plans = [plan_of(seed=1), plan_of(seed=2), plan_of(seed=1, negatives=0)]
    first, second, third = (flat(plan.step(0)) for plan in plans)
    assert first != second
    assert first == third
    assert plans[0].fingerprint == plans[2].fingerprint != plans[1].fingerprint
    free = plan_of(seed=1, tokens_per_chunk=99)
    assert free.fingerprint == plans[0].fingerprint
    assert plan_of(seed=1, max_length=31).fingerprint != plans[0].fingerprint


def test_a_quarter_of_a_million_steps_ahead_is_a_matter_of_seconds():
    # Two batches each, so 100,000 batches; a quarter of a million steps take 5 times as long.
    plan = plan_of("rows")
    assert len(plan.step(50_000).batches) == 2


def test_the_summary_foretells_what_is_drawn():
    for size, single in itertools.product(SIZES, (True, False)):
        plan = plan_of(size, single=single)
        steps = 400
        summary = plan.summary(steps)
        tokens = rows = 0
        for step in range(steps):
            for batch in plan.step(step).batches:
                tokens, rows = tokens + batch.num_tokens, rows + len(batch)
        assert summary.tokens_per_step * steps == pytest.approx(tokens, rel=0.06)
        assert summary.rows_per_step * steps == pytest.approx(rows, rel=0.06)
        drawn = plan.state()
        for group in summary.groups:
            expected = group.epochs * group.num_rows
            if expected > 300:  # of fewer rows, chance decides how many
                seen = drawn[f"rows of {group.name}"]
                assert expected == pytest.approx(seen, rel=0.25)
        assert sum(group.probability for group in summary.groups) == pytest.approx(1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batches_per_step": 0}, "batches_per_step: got 0"),
        ({"negatives": -1}, "negatives: got -1"),
        ({"rows_per_batch": Points(points=((0, 4.0), (5, 0.0)))}, "rows_per_batch: got 0"),
        (
            {"rows_per_batch": 0, "tokens_per_batch": 31},
            "must fit.: got 31, expected .* 32",
        ),
        (
            {"rows_per_batch": 0, "buckets": (LengthBucket(up_to=99, rows=0),)},
            "buckets.0.rows: got",
        ),
        ({"sampling": {"weights": {"x": 1.0}}}, "sampling.weights.x: unknown source"),
    ],
)
def test_errors(changes, message):
    with pytest.raises(ConfigError, match=message):
        plan_of(**changes)


def test_the_state_of_another_plan_is_refused():
    with pytest.raises(CheckpointError, match="does not fit this plan"):
        plan_of("rows").restore(plan_of("buckets").state())


def test_hard_negatives_and_turned_pairs_count_towards_the_budget(tokenizer_folder):
    tokenizer = Tokenizer.load(tokenizer_folder)
    groups = made_groups({"a": 40}, tokenizer, num_negatives=3)
    config = DataConfig(dataset="x", max_length=40, tokens_per_batch=900, negatives=2)
    plan = BatchPlan(groups, config, seed=1, stage="s", pad_tokens=2)
    (batch,) = plan.step(0).batches
    documents = np.minimum(groups.lengths[batch.rows] + 2, 40)
    assert batch.num_tokens == (groups.query_lengths[batch.rows] + 2 + 3 * documents).sum()
