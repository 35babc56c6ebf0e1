"""The engine with stand-ins for models: order, splitting on lack of memory, wide runs, threads."""

import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mgte.errors import DataError
from mgte.inference.cores import _quota, available_cores
from mgte.inference.engine import Engine, Task, TokenInput
from mgte.inference.routing import ByLength, SingleRuntime
from mgte.packing import pack


class EchoRuntime:
    """Gives back ids and positions, and remembers what it was asked."""

    name = "echo"

    def __init__(self, *, memory_tokens: int = 10**9) -> None:
        self.memory_tokens = memory_tokens
        self.batches: list[tuple[int, ...]] = []
        self.wide: list[tuple[int, ...]] = []
        self.threads: set[str] = set()

    def hidden(self, batch, rows):
        if batch.num_tokens > self.memory_tokens:
            raise torch.OutOfMemoryError("no room")
        self.batches.append(batch.seqlens)
        self.threads.add(threading.current_thread().name)
        states = torch.stack([batch.input_ids, batch.position_ids], dim=1).float()
        return states if rows is None else states[rows]

    def hidden_wide(self, batch, rows, num_workers):
        self.wide.append(batch.seqlens)
        return self.hidden(batch, rows)


def sums(states, batch):
    return [int(part[:, 0].sum()) for part in states.split(batch.seqlens)]


def make_engine(runtime, *, workers=2, budget=32):
    return Engine(SingleRuntime(runtime), num_workers=workers, max_tokens_per_batch=budget)


@settings(deadline=None)
@given(
    ids=st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=40), max_size=30),
    workers=st.integers(1, 3),
    budget=st.integers(1, 100),
)
def test_results_keep_the_input_order(ids, workers, budget):
    engine = make_engine(EchoRuntime(), workers=workers, budget=budget)
    try:
        results = engine.run(TokenInput(ids=ids), Task(pooling=None, reduce=sums))
    finally:
        engine.close()
    assert results == [sum(row) for row in ids]


def test_pooled_rows_reach_the_task():
    engine = make_engine(EchoRuntime())
    task = Task(pooling="last", reduce=lambda states, batch: states[:, 1].tolist())
    assert engine.run(TokenInput(ids=[[5] * 4, [6], [7] * 9]), task) == [3.0, 0.0, 8.0]


def test_a_batch_that_does_not_fit_is_split_until_it_does():
    runtime = EchoRuntime(memory_tokens=10)
    engine = make_engine(runtime, workers=1, budget=1000)
    ids = [[index] * 4 for index in range(20)]
    results = engine.run(TokenInput(ids=ids), Task(pooling=None, reduce=sums))
    assert results == [sum(row) for row in ids]
    assert max(sum(batch) for batch in runtime.batches) <= 10
    with pytest.raises(DataError, match="sequence 1: its 11 tokens do not fit"):
        engine.run(TokenInput(ids=[[1], [2] * 11]), Task(pooling=None, reduce=sums))


def test_a_sequence_that_would_hold_the_others_up_runs_over_all_cores():
    runtime = EchoRuntime()
    engine = make_engine(runtime)
    ids = [[1] * 3, [1] * 900, [1] * 5]
    engine.run(TokenInput(ids=ids), Task(pooling=None, reduce=sums))
    assert runtime.wide[0] == (900,)


def test_workers_compute_on_one_core_and_the_caller_keeps_its_threads():
    before = torch.get_num_threads()
    counts: list[int] = []

    class Counting(EchoRuntime):
        def hidden(self, batch, rows):
            counts.append(torch.get_num_threads())
            return super().hidden(batch, rows)

    runtime = Counting()
    engine = make_engine(runtime)
    engine.run(TokenInput(ids=[[1] * 30] * 40), Task(pooling=None, reduce=sums))
    engine.close()
    assert set(counts) == {1}
    assert all(name.startswith("mgte") for name in runtime.threads)
    assert torch.get_num_threads() == before


def test_an_error_in_a_worker_reaches_the_caller():
    class Broken(EchoRuntime):
        def hidden(self, batch, rows):
            raise ValueError("broken on purpose")

    engine = make_engine(Broken())
    with pytest.raises(ValueError, match="broken on purpose"):
        engine.run(TokenInput(ids=[[1] * 30] * 40), Task(pooling=None, reduce=sums))


def test_long_batches_go_to_the_runtime_that_is_built_for_them():
    short, built = EchoRuntime(), []

    def build():
        built.append(EchoRuntime())
        return built[-1]

    router = ByLength(short, build, long_tokens=100)
    assert router.runtime_for(pack([[1] * 99])) is short
    assert not built
    assert router.runtime_for(pack([[1], [1] * 100])) is built[0]
    assert router.runtime_for(pack([[1] * 300])) is built[0]


@pytest.mark.parametrize(
    ("content", "cores"), [("max 100000", None), ("150000 100000", 1), ("400000 100000", 4)]
)
def test_quota_of_the_container_counts(tmp_path, content, cores):
    (tmp_path / "cpu.max").write_text(content)
    assert _quota(tmp_path) == cores


def test_quota_of_cgroup_v1(tmp_path):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("250000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert _quota(tmp_path) == 2
    assert _quota(tmp_path / "nowhere") is None
    assert available_cores() >= 1


def test_progress_is_drawn_when_asked_for_and_not_into_a_file(capsys):
    engine = make_engine(EchoRuntime())
    task, inputs = Task(pooling=None, reduce=sums), TokenInput(ids=[[1] * 30] * 40)
    engine.run(inputs, task)
    assert capsys.readouterr().err == ""  # captured: not a terminal
    engine.run(inputs, task, show_progress=True)
    assert "/40" in capsys.readouterr().err
    engine.run(inputs, task, show_progress=False)
    assert capsys.readouterr().err == ""
