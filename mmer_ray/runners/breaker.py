"""The circuit breaker: ends a run whose recordings fail for a reason that lies outside them."""

from __future__ import annotations

from collections import Counter, deque

from mmer_ray.errors import ErrorCode, SystematicFailureError

NUM_FIRST = 20
"""A run whose first recordings, this many, all fail for such a reason has a broken environment."""
WINDOW = 200
"""Later, half of so many recordings in a row is too many: a store, a network or a disk that broke during the run."""

OF_THE_SURROUNDINGS = frozenset({ErrorCode.INTERNAL, ErrorCode.WORKER_CRASH, ErrorCode.IO_ERROR})
"""Codes whose cause lies in the machine, the installation or the store."""
AT_THE_START = OF_THE_SURROUNDINGS | {ErrorCode.PERMISSION, ErrorCode.OUT_OF_MEMORY, ErrorCode.DECODER_CRASH}
"""Some files may be unreadable, or crash any decoder. If the first ones are so without exception, credentials, memory
or the decoder are at fault."""


class CircuitBreaker:
    """Counts the answers of one run in the order in which they come."""

    def __init__(self) -> None:
        self._num_answers = 0
        self._at_start: Counter[ErrorCode] = Counter()
        self._window: deque[ErrorCode | None] = deque(maxlen=WINDOW)
        self._in_window: Counter[ErrorCode] = Counter()
        self._first_message: dict[ErrorCode, str] = {}

    def count(self, code: ErrorCode | None, message: str | None) -> None:
        """Count one answer; `code` is None where the recording was scored. Raises `SystematicFailureError`."""
        self._num_answers += 1
        if code is not None:
            self._first_message.setdefault(code, message or "")
        if code in AT_THE_START and self._num_answers <= NUM_FIRST:
            self._at_start[code] += 1
        self._slide(code if code in OF_THE_SURROUNDINGS else None)
        if self._num_answers == NUM_FIRST == self._at_start.total():
            raise self._failure(self._at_start, f"the first {NUM_FIRST} recordings")
        if len(self._window) == WINDOW and self._in_window.total() * 2 >= WINDOW:
            raise self._failure(self._in_window, f"the last {WINDOW} recordings")

    def _slide(self, code: ErrorCode | None) -> None:
        if len(self._window) == WINDOW:
            oldest = self._window[0]
            if oldest is not None:
                self._in_window[oldest] -= 1
        self._window.append(code)
        if code is not None:
            self._in_window[code] += 1

    def _failure(self, codes: Counter[ErrorCode], among: str) -> SystematicFailureError:
        code, num = codes.most_common(1)[0]
        return SystematicFailureError(
            f"the run was ended: {codes.total()} of {among} failed for reasons that lie outside them, "
            f"{num} of them as {code}: {self._first_message[code]}. What was finished is committed; "
            "mend the cause and run the same command again"
        )
