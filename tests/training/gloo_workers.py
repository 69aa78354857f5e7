"""Processes that train together on this machine's CPU."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from torch.multiprocessing.spawn import spawn

TIMEOUT = timedelta(seconds=60)


def run_together(work: Callable[[Path], Any], folder: Path, num_workers: int = 2) -> list[Any]:
    """Run a function of a module in processes of one gloo group; returns what each gave, in the order of ranks.

    `folder` is empty, and the function's argument.
    """
    spawn(_run, (work, folder, num_workers), num_workers)
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(num_workers)]


def _run(rank: int, work: Callable[[Path], Any], folder: Path, num_workers: int) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder / 'store'}"
    distributed.init_process_group("gloo", store, TIMEOUT, rank=rank, world_size=num_workers)
    torch.save(work(folder), folder / f"{rank}.pt")
    distributed.destroy_process_group()
