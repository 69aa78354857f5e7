"""Memory of large arrays, kept between batches.

A stage's arrays come and go with every batch. The C library of Linux hands each large one back to the kernel and asks
for it anew, page by page, which costs up to a third of a stage's time on a CPU (`benchmarks/emotion_throughput.py`).
"""

from __future__ import annotations

import ctypes
import sys

# Parameters of glibc's mallopt(3).
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
LARGEST_KEPT_BYTES = 256 * 2**20
"""Arrays up to this size come out of memory that was used before."""
MOST_KEPT_BYTES = 512 * 2**20
"""Unused memory beyond this goes back to the kernel: what a worker may hold for nothing."""
NUM_HEAPS = 1
"""Threads share one heap. Each of several would keep that much, and a process has a dozen threads that compute
(`benchmarks/clip_memory.py`)."""


def keep_freed_memory() -> bool:
    """Let this process keep the memory of freed arrays.

    Returns whether it does: elsewhere than on glibc nothing is done.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = {
        M_ARENA_MAX: NUM_HEAPS,
        M_MMAP_THRESHOLD: LARGEST_KEPT_BYTES,
        M_TRIM_THRESHOLD: MOST_KEPT_BYTES,
    }
    return all(mallopt(parameter, value) == 1 for parameter, value in settings.items())


class _MallocInfo(ctypes.Structure):
    """`struct mallinfo2` of glibc 2.33 and later, mallinfo(3)."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def malloc_bytes() -> tuple[int, int] | None:
    """What of the C library's memory is in use, and what is free in its heaps, pages that went back to the kernel among
    them; None where it does not say."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallinfo2"):
        return None
    libc.mallinfo2.restype = _MallocInfo
    info = libc.mallinfo2()
    return info.uordblks + info.hblkhd, info.fordblks


def return_excess() -> bool:
    """Give all unused memory back to the kernel where more than `MOST_KEPT_BYTES` is free; returns whether any went.

    The C library does so by itself for the end of its heap alone, which one small block that stays can hold up. It
    counts as free what went back before, so a heap that was once so large is gone through after every batch.
    """
    known = malloc_bytes()
    if known is None or known[1] <= MOST_KEPT_BYTES:
        return False
    return bool(ctypes.CDLL(None).malloc_trim(0))
