"""How many batches a process works on side by side."""

from __future__ import annotations

from functools import cache


@cache
def use_one_core_per_batch() -> int:
    """Set this process up for scoring, once; returns the number of batches to work on side by side.

    On a CPU PyTorch would split every operation over all cores, which these are too small for
    (`benchmarks/emotion_throughput.py`): each operation gets one core instead, and each core a batch. A GPU takes one
    batch after the other. The setting is the whole process's: whoever owns the process calls this, nothing below.
    """
    import torch

    if torch.cuda.is_available():
        return 1
    cores = torch.get_num_threads()
    torch.set_num_threads(1)
    return cores
