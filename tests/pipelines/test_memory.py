"""Memory of freed arrays stays with the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from mmer_ray.pipelines.memory import keep_freed_memory

assert keep_freed_memory()
for megabytes in (64, 64, 64, 64, 64):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(megabytes * 2**20 // 8)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

IN_TURN = """
import threading
from pathlib import Path
import numpy as np
from mmer_ray.pipelines.memory import keep_freed_memory

NUM_THREADS, NUM_ARRAYS = 4, 100
assert keep_freed_memory()

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

def work(mine, done):
    mine.wait()
    arrays = [np.ones(2**17) for _ in range(NUM_ARRAYS)]
    del arrays
    done.set()
    ended.wait()

ended = threading.Event()
before = resident_mb()
turns = [(threading.Event(), threading.Event()) for _ in range(NUM_THREADS)]
threads = [threading.Thread(target=work, args=turn) for turn in turns]
for thread in threads:
    thread.start()
for mine, done in turns:
    mine.set()
    done.wait()
print(resident_mb() - before)
ended.set()
"""
"""Threads that each hold 100 arrays of a megabyte for a while, one thread after the other."""

HELD_UP = """
from pathlib import Path
import numpy as np
from mmer_ray.pipelines.memory import keep_freed_memory, return_excess

assert keep_freed_memory()

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

before = resident_mb()
arrays = [np.ones(2**17) for _ in range(700)]
last = arrays[-1]
del arrays
print(resident_mb() - before)
assert return_excess()
print(resident_mb() - before)
"""
"""700 MB that are freed below a block that stays."""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a setting of glibc")
def test_an_array_uses_the_memory_of_the_last_one_again() -> None:
    printed = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True).stdout
    first, *_, last = (int(line) for line in printed.split())
    assert last < first / 4


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a setting of glibc")
def test_threads_use_the_memory_that_other_threads_have_freed() -> None:
    printed = subprocess.run([sys.executable, "-c", IN_TURN], check=True, capture_output=True, text=True).stdout
    # One thread's arrays, and not those of all four.
    assert float(printed) < 200


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a setting of glibc")
def test_memory_below_a_block_that_stays_goes_back_to_the_kernel() -> None:
    printed = subprocess.run([sys.executable, "-c", HELD_UP], check=True, capture_output=True, text=True).stdout
    kept, returned = (float(line) for line in printed.split())
    assert kept > 600
    assert returned < 100
