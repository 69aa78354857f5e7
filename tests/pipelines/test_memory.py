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


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a setting of glibc")
def test_an_array_uses_the_memory_of_the_last_one_again() -> None:
    printed = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True).stdout
    first, *_, last = (int(line) for line in printed.split())
    assert last < first / 4
