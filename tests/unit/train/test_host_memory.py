"""Memory between steps: given back in time, and really."""

import os
import subprocess
import sys

import pytest

from mgte.train.host_memory import HeapTrimmer, heap_trim, limit_product_caches

# Every second block of 400 MB is freed: none of it can leave the heap's top.
FRAGMENTED = """
from pathlib import Path
from mgte.train.host_memory import heap_trim

def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6

blocks = [bytearray(b"x") * 100_000 for _ in range(4000)]
del blocks[::2]
before = resident()
heap_trim()()
print(before - resident())
"""


# 300 shapes; with both caches at their default they take some 400 MB.
RAGGED = """
import torch
from pathlib import Path
from mgte.train.host_memory import heap_trim, limit_product_caches

def resident():
    heap_trim()()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6

limit_product_caches()
weight = torch.ones(384, 384, dtype=torch.bfloat16)
sizes = []
for rows in range(200, 500):
    torch.ones(rows, 384, dtype=torch.bfloat16) @ weight
    if rows in (350, 499):
        sizes.append(resident())
print(sizes[1] - sizes[0])
"""


def printed_by(program: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def test_it_waits_between_two_times() -> None:
    now, trimmed = [0.0], list[float]()
    trimmer = HeapTrimmer(10.0, trim=lambda: trimmed.append(now[0]), clock=lambda: now[0])
    for second in range(35):
        now[0] = float(second)
        trimmer.after_step()
    assert trimmed == [10.0, 20.0, 30.0]


def test_without_a_c_library_that_can_it_does_nothing() -> None:
    HeapTrimmer(0.0, trim=None).after_step()


@pytest.mark.skipif(heap_trim() is None, reason="the C library cannot")
def test_memory_between_blocks_in_use_is_given_back() -> None:
    assert printed_by(FRAGMENTED) > 150


@pytest.mark.skipif(heap_trim() is None, reason="the C library cannot")
def test_new_shapes_do_not_grow_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        monkeypatch.delenv(name, raising=False)
    assert printed_by(RAGGED) < 20


def test_the_user_s_own_cache_sizes_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "7")
    monkeypatch.setenv("LRU_CACHE_CAPACITY", "8")
    limit_product_caches()
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "7"
    assert os.environ["LRU_CACHE_CAPACITY"] == "8"
