"""Who asked what and when: one JSON line per request. No text, no file name, no address of a client.

A file per day (UTC) lies in `audit/` of the endpoint's state folder. Nothing here deletes one: how long they are kept
is the operator's decision. Several gateways may write the same file: a line is written by one call that appends.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from mmer_ray.serving.ended import Ended

FOLDER = "audit"
FILE_MODE, FOLDER_MODE = 0o600, 0o700
NOT_KEPT = frozenset({"/healthz", "/readyz"})
"""Asked every few seconds by probes, without a key."""
MAX_WAITING = 100_000
"""Lines that wait for the disk; beyond it lines are lost."""
COMPLAINT_S = 60.0
"""Lost lines are told to the log at most this often."""
CLOSE_S = 10.0

_log = logging.getLogger(__name__)


class Audit:
    """The audit log below a folder. Calling it never waits; a thread writes. Close it at the end."""

    def __init__(self, state: Path) -> None:
        self._folder = state / FOLDER
        self._folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        self._waiting: queue.Queue[bytes | None] = queue.Queue(MAX_WAITING)
        self._num_lost = 0
        self._complained_s = float("-inf")
        self._writing = threading.Thread(target=self._write_all, name="audit", daemon=True)
        self._writing.start()

    @property
    def num_lost(self) -> int:
        """Lines that could not be written."""
        return self._num_lost

    def __call__(self, ended: Ended) -> None:
        """Note a request that is over."""
        if ended.route in NOT_KEPT:
            return
        try:
            self._waiting.put_nowait(_line(ended))
        except queue.Full:
            self._lose(1, "the disk is too slow")

    def close(self) -> None:
        """Write what waits, then end."""
        try:
            self._waiting.put(None, timeout=CLOSE_S)
            self._writing.join(CLOSE_S)
        except queue.Full:
            _log.error("%d lines of the audit log were not written at the end", self._waiting.qsize())

    def _write_all(self) -> None:
        is_open = True
        while is_open:
            lines = [self._waiting.get()]
            while lines[-1] is not None and not self._waiting.empty():
                lines.append(self._waiting.get())
            is_open = lines[-1] is not None
            self._append([line for line in lines if line is not None])

    def _append(self, lines: list[bytes]) -> None:
        file = self._folder / f"{datetime.now(UTC):%Y-%m-%d}.jsonl"
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
            try:
                for line in lines:
                    if os.write(descriptor, line) != len(line):
                        raise OSError("a line was written in part")
            finally:
                os.close(descriptor)
        except OSError as exc:
            # The endpoint goes on answering: a full disk is what `/readyz` speaks of.
            self._lose(len(lines), f"{type(exc).__name__}: {exc.strerror}")

    def _lose(self, num_lines: int, why: str) -> None:
        self._num_lost += num_lines
        if time.monotonic() - self._complained_s > COMPLAINT_S:
            self._complained_s = time.monotonic()
            _log.error("the audit log cannot be written (%s); %d lines are lost so far", why, self._num_lost)


def _line(ended: Ended) -> bytes:
    row = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "request_id": ended.request_id,
        "key": ended.key,
        "method": ended.method,
        "route": ended.route,
        "status": ended.status,
        "seconds": round(ended.seconds, 3),
        "bytes": ended.body_bytes,
        "audio_s": ended.audio_s,
        "code": ended.code,
    }
    return json.dumps(row).encode() + b"\n"
