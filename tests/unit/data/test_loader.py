"""Loaders: shares of any number of processes are the same batches; nothing is lost or leaked."""

import gc
import threading
import time

import numpy as np
import pytest
from tests.unit.data.made_rows import made_groups, made_texts, made_vectors

from mgte.data import DataConfig, LoadConfig, MaskingConfig, Points, SamplingConfig, build_loader
from mgte.errors import CheckpointError, ConfigError, DataError
from mgte.text import Tokenizer

KINDS = ("masked_lm", "contrastive", "reranking", "vectors")
PROMPTS = {"query_prompt": "what is ", "document_prompt": "the "}


@pytest.fixture(scope="module")
def tokenizer(tokenizer_folder):
    return Tokenizer.load(tokenizer_folder)


@pytest.fixture(scope="module")
def datasets(tokenizer):
    groups = made_groups({"a": 60, "b": 30}, tokenizer, num_negatives=4, num_positives=2)
    return {
        "masked_lm": made_texts({"a": 60, "b": 30}),
        "contrastive": made_groups({"a": 60, "b": 30}, tokenizer, symmetric=(True, False)),
        "reranking": groups,
        "vectors": made_vectors(50),
    }


def loader_of(kind, datasets, tokenizer, *, rank=0, world_size=1, prefetch=0, **changes):
    settings = {
        "dataset": "x",
        "max_length": 32,
        "max_query_length": 12,
        "rows_per_batch": 7,
        "batches_per_step": 2,
        "negatives": 2,
    }
    masking = MaskingConfig(mask_probability=Points(points=((0, 0.3), (3, 0.1))))
    load = LoadConfig(
        kind=kind,
        masking=masking,
        random_negatives=2,
        prefetch=prefetch,
        **(PROMPTS if kind == "contrastive" else {}),
    )
    return build_loader(
        datasets[kind],
        DataConfig(**settings | changes),
        load,
        tokenizer=tokenizer,
        seed=1,
        stage="s",
        rank=rank,
        world_size=world_size,
    )


ROW_FIELDS = {
    "masked_lm": ("sequences", "positions", "labels", "rows"),
    "contrastive": ("queries", "documents", "query_hashes", "document_hashes", "teacher_scores"),
    "reranking": ("pairs", "token_types", "labels", "teacher_scores", "rows"),
    "vectors": ("sequences", "vectors", "rows"),
}


def parts_of(batch, name):
    return [np.asarray(part).tolist() for part in getattr(batch, name)]


def content(batches, kind):
    """Shares laid end to end, comparable; NaN as text."""
    found = {
        name: [repr(p) for batch in batches for p in parts_of(batch, name)]
        for name in ROW_FIELDS[kind]
    }
    for name in ("cu_documents", "cu_candidates"):
        if name in dir(batches[0]):
            found[name] = [int(n) for batch in batches for n in np.diff(getattr(batch, name))]
    return found | {"source": {batch.source for batch in batches}}


def steps_of(loader, num_steps):
    with loader:
        return [loader.next_step() for _ in range(num_steps)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows_per_batch", [7, 2])
def test_shares_of_any_number_of_processes_are_the_batch(kind, datasets, tokenizer, rows_per_batch):
    make = {"datasets": datasets, "tokenizer": tokenizer, "rows_per_batch": rows_per_batch}
    whole = steps_of(loader_of(kind, **make), 5)
    for world_size in (2, 3, 4):
        ranks = [
            steps_of(loader_of(kind, rank=rank, world_size=world_size, **make), 5)
            for rank in range(world_size)
        ]
        for step, shares in enumerate(zip(*ranks, strict=True)):
            assert sum(share.num_tokens for share in shares) == whole[step].num_tokens
            dropped = sum(share.num_tokens_dropped for share in shares)
            assert dropped == whole[step].num_tokens_dropped
            for index in range(2):
                joined = content([share.batches[index] for share in shares], kind)
                assert joined == content([whole[step].batches[index]], kind)


@pytest.mark.parametrize("kind", KINDS)
def test_prefetching_changes_nothing_and_the_state_counts_what_was_handed_out(
    kind, datasets, tokenizer
):
    make = {"datasets": datasets, "tokenizer": tokenizer}
    plain = [content(step.batches, kind) for step in steps_of(loader_of(kind, **make), 9)]
    with loader_of(kind, prefetch=3, **make) as ahead:
        taken = [content(ahead.next_step().batches, kind) for _ in range(4)]
        time.sleep(0.1)  # the thread runs ahead meanwhile
        state = ahead.state()
        assert state["step"] == 4
        taken += [content(ahead.next_step().batches, kind) for _ in range(5)]
        assert taken == plain
        ahead.restore(state)
        again = [content(ahead.next_step().batches, kind) for _ in range(5)]
    assert again == plain[4:]
    other = loader_of(kind, prefetch=1, world_size=1, **make)
    other.restore(state)
    assert [content(step.batches, kind) for step in steps_of(other, 5)] == plain[4:]


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "mgte-prefetch"]


def test_threads_end_on_close_and_with_the_last_reference(datasets, tokenizer):
    loader = loader_of("masked_lm", datasets, tokenizer, prefetch=2)
    assert not threads()  # nothing runs before the first step
    loader.next_step()
    assert len(threads()) == 1
    loader.close()
    assert not threads()
    with pytest.raises(RuntimeError, match="closed"):
        loader.next_step()
    forgotten = loader_of("masked_lm", datasets, tokenizer, prefetch=2)
    forgotten.next_step()
    del forgotten
    gc.collect()
    deadline = time.monotonic() + 5
    while threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not threads()


class Broken:
    """A dataset in which one row cannot be read."""

    def __init__(self, rows, bad):
        self._rows, self._bad = rows, bad

    def __getattr__(self, name):
        return getattr(self._rows, name)

    def tokens(self, row, start=0, stop=None):
        if row == self._bad:
            raise DataError("tokens-00000.npy: is damaged", hint="prepare again")
        return self._rows.tokens(row, start, stop)


@pytest.mark.parametrize("prefetch", [0, 3])
def test_errors_surface_at_their_step_with_their_place(datasets, tokenizer, prefetch):
    texts = datasets["masked_lm"]
    steps = steps_of(loader_of("masked_lm", datasets, tokenizer), 4)
    bad = int(steps[3].batches[1].rows[2])
    seen = [bad in batch.rows for step in steps for batch in step.batches].index(True) // 2
    with loader_of(
        "masked_lm", {"masked_lm": Broken(texts, bad)}, tokenizer, prefetch=prefetch
    ) as loader:
        for _ in range(seen):
            loader.next_step()
        for _ in range(2):
            with pytest.raises(DataError, match=r"step \d, batch \d \(\w\): tokens-00000.npy"):
                loader.next_step()
    assert not threads()


def test_an_unexpected_error_carries_a_note(datasets, tokenizer, monkeypatch):
    loader = loader_of("vectors", datasets, tokenizer, prefetch=1)
    monkeypatch.setattr(
        type(datasets["vectors"]), "vector_rows", lambda self, rows: 1 / 0, raising=True
    )
    with loader, pytest.raises(ZeroDivisionError) as caught:
        loader.next_step()
    assert "step 0, batch 0 (all), rows [" in caught.value.__notes__[0]


@pytest.mark.parametrize("kind", KINDS)
def test_descriptions_are_words_and_leave_the_loader_where_it_is(kind, datasets, tokenizer):
    with loader_of(kind, datasets, tokenizer, prefetch=2) as loader:
        first = content(loader.next_step().batches, kind)
        described = loader.describe_first(2, num_rows=2)
        second = content(loader.next_step().batches, kind)
        assert len(described) == 4
        assert described[0].num_rows == 7
        assert all(text for _, text in described[0].texts)
        roles = {role for batch in described for role, _ in batch.texts}
    straight = [content(s.batches, kind) for s in steps_of(loader_of(kind, datasets, tokenizer), 2)]
    assert [first, second] == straight
    assert (
        roles
        == {
            "masked_lm": {"masked"},
            "contrastive": {"query", "positive"},
            "reranking": {"positive", "candidate"},
            "vectors": {"text"},
        }[kind]
    )


def test_masks_follow_the_step_and_every_batch_has_one(datasets, tokenizer):
    low = MaskingConfig(mask_probability=1e-9)
    loader = build_loader(
        datasets["masked_lm"],
        DataConfig(
            dataset="x", max_length=32, rows_per_batch=5, sampling=SamplingConfig(alpha=1.0)
        ),
        LoadConfig(kind="masked_lm", masking=low, prefetch=0),
        tokenizer=tokenizer,
        seed=1,
        stage="s",
    )
    for step in steps_of(loader, 20):
        assert sum(map(len, step.batches[0].positions)) == 1
    steps = steps_of(loader_of("masked_lm", datasets, tokenizer, rows_per_batch=200), 6)
    rates = [
        sum(map(len, b.labels)) / (sum(map(len, b.sequences)) - 2 * len(b.rows))
        for step in steps
        for b in step.batches
    ]
    assert np.array(rates[:6]) == pytest.approx(0.3, abs=0.03)
    assert np.array(rates[6:]) == pytest.approx(0.1, abs=0.03)


def test_sequences_are_what_the_tokenizer_would_make(datasets, tokenizer):
    texts = datasets["masked_lm"]
    (step,) = steps_of(loader_of("masked_lm", datasets, tokenizer), 1)
    for batch in step.batches:
        for row, sequence, positions, labels in zip(
            batch.rows.tolist(), batch.sequences, batch.positions, batch.labels, strict=True
        ):
            ids = sequence.copy()
            ids[positions] = labels
            assert ids[0] == tokenizer.role_ids["cls"]
            assert ids[-1] == tokenizer.role_ids["sep"]
            body, whole = ids[1:-1].tolist(), texts.tokens(row).tolist()
            assert body in (whole[:30], whole[30:60])


def test_fingerprints_tell_what_matters(datasets, tokenizer):
    first = loader_of("contrastive", datasets, tokenizer)
    assert (
        first.fingerprint
        == loader_of(
            "contrastive", datasets, tokenizer, prefetch=3, rank=1, world_size=2
        ).fingerprint
    )
    other = loader_of("contrastive", datasets, tokenizer, max_query_length=13)
    assert first.fingerprint != other.fingerprint


def test_errors(datasets, tokenizer):
    with pytest.raises(ConfigError, match="rank: got 2, expected 0 to 1"):
        loader_of("vectors", datasets, tokenizer, rank=2, world_size=2)
    with pytest.raises(ConfigError, match="holds texts, expected vectors for vectors batches"):
        loader_of("vectors", {"vectors": datasets["masked_lm"]}, tokenizer)
    with pytest.raises(CheckpointError):
        loader_of("vectors", datasets, tokenizer).restore({"step": 3})
