"""Ctrl-C: once finishes and commits, twice ends at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from mmer_ray.cli.exits import ExitCode

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ASKED = b"\nmmer: stopping; what is finished is being committed. Ctrl-C again ends at once.\n"
_AT_ONCE = b"\nmmer: ended at once; the same command goes on from the last commit.\n"


@contextmanager
def stop_on_signal(asked: bytes = _ASKED, at_once: bytes = _AT_ONCE) -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets. The second one ends the process with exit code 130. What is said
    then, on stderr, is `asked` and `at_once`.

    Ends without clean-up, which could hang on what made the user ask twice; the lake's commits are atomic, so nothing
    is lost but work since the last of them.
    """
    stop = threading.Event()

    def handle(_signum: int, _frame: FrameType | None) -> None:
        # os.write: a handler may interrupt a print that holds the lock of the console.
        if stop.is_set():
            os.write(2, at_once)
            os._exit(ExitCode.INTERRUPTED)
        stop.set()
        os.write(2, asked)

    before = {signum: signal.signal(signum, handle) for signum in SIGNALS}
    try:
        yield stop
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
