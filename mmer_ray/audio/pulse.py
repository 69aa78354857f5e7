"""Heartbeats of the decoding child, and the limits on one that sends none."""

from __future__ import annotations

import math
import resource
import signal
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

BEAT_S = 1.0
CPU_BASE_S = 60
"""CPU seconds that any recording may take: ten times what hashing the largest file needs."""
CPU_PER_DECODED_S = 0.01
"""And so many for every second decoded: a tenth of the speed of the slowest real format on a slow core. The bound
follows what was decoded, not what the header claims, and CPU time, so that a busy host fails nothing."""
CPU_STEP_S = 10
ALARM_SLACK_S = 10.0


class Pulse:
    """Call it wherever work makes progress. It sends the parent a heartbeat about once a second and raises the limits.

    `beat` gets the seconds decoded so far and those spent waiting for bytes.

    The limits are the kernel's, so they hold while C code does not return: RLIMIT_CPU ends the process by SIGXCPU, and
    an alarm by SIGALRM when no pulse came for longer than the parent would have waited (it may be gone).
    """

    def __init__(self, stall_s: float, beat: Callable[[float, float], None]) -> None:
        self._beat = beat
        self._alarm_s = 2 * stall_s + ALARM_SLACK_S
        self._last_beat = time.monotonic()
        self._cpu_start_s = math.ceil(time.process_time())
        self._cpu_limit_s = 0
        self.decoded_s = 0.0
        self.waited_s = 0.0
        """Seconds spent waiting for bytes of a local file."""

    def __enter__(self) -> Self:
        self._move_limits()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.rest()

    def __call__(self) -> None:
        now = time.monotonic()
        if now - self._last_beat >= BEAT_S:
            self._last_beat = now
            self.rest()
            self._beat(self.decoded_s, self.waited_s)
            self._move_limits()

    def rest(self) -> None:
        """Stop the alarm: what comes next waits for the parent, however long that takes."""
        signal.setitimer(signal.ITIMER_REAL, 0)

    def resume(self) -> None:
        """Set the alarm again. The next heartbeat stays due: it tells the parent what was decoded meanwhile."""
        self._move_limits()

    def _move_limits(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, self._alarm_s)
        limit_s = self._cpu_start_s + CPU_BASE_S + int(self.decoded_s * CPU_PER_DECODED_S)
        if limit_s >= self._cpu_limit_s + CPU_STEP_S:
            self._cpu_limit_s = limit_s
            resource.setrlimit(resource.RLIMIT_CPU, (limit_s, resource.getrlimit(resource.RLIMIT_CPU)[1]))
