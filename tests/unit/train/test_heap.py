"""Memory between steps: given back in time, and really."""

import subprocess
import sys

import pytest

from mgte.train.heap import HeapTrimmer, heap_trim

# Every second block of 400 MB is freed: none of it can leave the heap's top.
FRAGMENTED = """
from pathlib import Path
from mgte.train.heap import heap_trim

def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6

blocks = [bytearray(b"x") * 100_000 for _ in range(4000)]
del blocks[::2]
before = resident()
heap_trim()()
print(before - resident())
"""


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
    done = subprocess.run(
        [sys.executable, "-c", FRAGMENTED], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) > 150
