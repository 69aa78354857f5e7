"""Batches side by side."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import torch
torch.set_num_threads(3)
from mmer_ray.pipelines.cores import use_one_core_per_batch
torch.cuda.is_available = lambda: False
print(use_one_core_per_batch(), torch.get_num_threads(), use_one_core_per_batch())
"""


def test_each_batch_gets_a_core_however_often_it_is_asked_for() -> None:
    printed = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True).stdout
    assert printed.split() == ["3", "1", "3"]
