"""Seconds of GPU time, measured where the work is: around the forward passes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from time import perf_counter


@dataclass
class GpuSeconds:
    """What the forward passes of one call took."""

    total_s: float = 0.0


_COLLECTING: ContextVar[GpuSeconds | None] = ContextVar("_COLLECTING", default=None)


@contextmanager
def collect_gpu_seconds() -> Iterator[GpuSeconds]:
    """Add up the forward passes that this thread runs inside the block; on a CPU it stays zero."""
    spent = GpuSeconds()
    token = _COLLECTING.set(spent)
    try:
        yield spent
    finally:
        _COLLECTING.reset(token)


@contextmanager
def forward_pass(device: str) -> Iterator[None]:
    """Run a forward pass in evaluation mode; on a GPU its synchronised wall seconds are counted."""
    import torch

    with torch.inference_mode():
        spent = _COLLECTING.get()
        if spent is None or not device.startswith("cuda"):
            yield
            return
        torch.cuda.synchronize(device)
        begun = perf_counter()
        yield
        torch.cuda.synchronize(device)
        spent.total_s += perf_counter() - begun
