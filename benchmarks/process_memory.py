"""Memory and CPU seconds of a process and of all below it (Linux), for the benchmarks that watch one."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path


class Watched:
    """Memory and CPU seconds of a process and all below it, looked at until it ends.

    Memory is the proportional set size (PSS): pages that processes share count once.
    """

    def __init__(self, pid: int, every_s: float) -> None:
        self._pid, self._every_s = pid, every_s
        self.readings: list[int] = []
        """Bytes, a number for each look."""
        self._cpu_s: dict[int, float] = {}
        """Process -> its CPU seconds by the last look."""
        self._totals: list[tuple[float, float]] = []
        """Moments, and the CPU seconds of all processes so far."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop looking."""
        self._ended.set()
        self._thread.join()

    @property
    def peak_bytes(self) -> int:
        """The most of any look."""
        return max(self.readings, default=0)

    def cpu_since(self, moment: float) -> float:
        """CPU seconds from the last look before a moment on."""
        before = [total for at, total in self._totals if at <= moment]
        return self._totals[-1][1] - (before[-1] if before else 0.0)

    def _watch(self) -> None:
        while not self._ended.wait(self._every_s):
            total = 0
            for pid in _tree(self._pid):
                try:
                    total += _pss_bytes(pid)
                    self._cpu_s[pid] = _cpu_s(pid)
                except (OSError, StopIteration):
                    # It has just ended.
                    continue
            self.readings.append(total)
            self._totals.append((time.time(), sum(self._cpu_s.values())))


def _tree(root: int) -> Iterator[int]:
    children: dict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            children[int(stat.rpartition(")")[2].split()[1])].append(int(entry.name))
    pending = [root]
    while pending:
        yield (pid := pending.pop())
        pending += children[pid]


def _pss_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024


def _cpu_s(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
