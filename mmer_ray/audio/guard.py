"""The parent's side of the decoding child: starting it, talking to it with a clock in hand, ending it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import mmer_ray
from mmer_ray.audio.wire import EXIT_OUT_OF_MEMORY, LENGTHS, pack, unpack_header, unpack_lengths
from mmer_ray.errors import AudioError, ErrorCode
from mmer_ray.records import Samples

START_S = 120.0
"""Most seconds for a child to come up; imports from a cold network disk take a while."""
WAIT_BASE_S = 80.0
WAIT_PER_DECODED_S = 0.05
"""Waiting for one recording may take the base plus 1/20 of what was decoded of it. The child's CPU limit (`pulse.py`)
is five times tighter per decoded second, so this one acts first only where a host is overbooked or a disk hangs."""
_CODE_BY_SIGNAL = {
    signal.SIGXCPU: ErrorCode.DECODE_TIMEOUT,
    signal.SIGALRM: ErrorCode.DECODE_TIMEOUT,
    # We kill nobody whose answer we still want: this was the kernel, out of memory.
    signal.SIGKILL: ErrorCode.OUT_OF_MEMORY,
}


class GuardedChild:
    """One running child. Once an `AudioError` came from `receive` it is of no more use: `kill` it."""

    def __init__(self, max_memory_mb: int, stall_s: float) -> None:
        self._stall_s = stall_s
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mmer_ray.audio.decoder_child", str(max_memory_mb)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(),
            bufsize=0,
            # Ctrl-C in the terminal is for the parent, which lets a recording end.
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to_child, self._from_child = self._process.stdin, self._process.stdout
        self._poll = select.poll()
        self._poll.register(self._from_child, select.POLLIN)
        self._silence_s = START_S
        self._wait_s = START_S
        self._earned_s = 0.0
        self.pid = self._process.pid

    def greet(self) -> None:
        """Wait until the child is up."""
        self.receive()
        self._silence_s = self._stall_s

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, message: Mapping[str, Any]) -> None:
        """Send a request; the clock for its answers starts anew. Raises BrokenPipeError when the child is gone."""
        self._wait_s, self._earned_s = WAIT_BASE_S, 0.0
        self._to_child.write(pack(message))

    def receive(self) -> tuple[dict[str, Any], Samples]:
        """The next message that is no heartbeat, with its int16 samples, shape (num_samples,).

        Only time spent waiting here counts against the child. Raises `AudioError` when it is silent for too long,
        takes too long in all, or has died.
        """
        while True:
            try:
                header, samples = self._message()
            except ValueError as exc:
                raise AudioError(ErrorCode.DECODER_CRASH, f"the decoder sent no message of ours: {exc}") from exc
            if header["kind"] != "beat":
                return header, samples
            self._earn(header["decoded_s"])

    def close(self) -> None:
        """Hang up; a child at rest ends by itself."""
        self._to_child.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._from_child.close()

    def kill(self) -> None:
        self._process.kill()
        self.close()

    def _message(self) -> tuple[dict[str, Any], Samples]:
        lengths = bytearray(LENGTHS.size)
        self._fill(memoryview(lengths))
        header_bytes, payload_bytes = unpack_lengths(lengths)
        text = bytearray(header_bytes)
        self._fill(memoryview(text))
        samples = np.empty(payload_bytes // 2, dtype=np.int16)
        self._fill(samples.view(np.uint8).data)
        return unpack_header(text), samples

    def _fill(self, view: memoryview) -> None:
        while view:
            self._wait()
            num_bytes = os.readv(self._from_child.fileno(), [view])
            if not num_bytes:
                raise self._obituary()
            view = view[num_bytes:]

    def _wait(self) -> None:
        began = time.monotonic()
        patience_s = min(self._silence_s, self._wait_s)
        if not self._poll.poll(patience_s * 1000):
            raise AudioError(ErrorCode.DECODE_TIMEOUT, f"the decoder made no progress for {patience_s:.0f} s")
        self._wait_s -= time.monotonic() - began
        if self._wait_s <= 0:
            raise AudioError(ErrorCode.DECODE_TIMEOUT, "decoding takes far longer than the audio would")

    def _earn(self, decoded_s: float) -> None:
        """Heartbeats name all that was decoded so far; what is new since the last one buys time."""
        self._wait_s += max(0.0, decoded_s - self._earned_s) * WAIT_PER_DECODED_S
        self._earned_s = decoded_s

    def _obituary(self) -> AudioError:
        code = self._process.wait()
        if code == EXIT_OUT_OF_MEMORY:
            return AudioError(ErrorCode.OUT_OF_MEMORY, "decoding needs more memory than the decoder may have")
        if code < 0:
            name = signal.Signals(-code).name
            return AudioError(_CODE_BY_SIGNAL.get(signal.Signals(-code), ErrorCode.DECODER_CRASH), f"ended by {name}")
        return AudioError(ErrorCode.INTERNAL, f"the decoder child ended with exit code {code}; its stderr says why")


def _environment() -> dict[str, str]:
    """The child finds this very package, wherever the parent has it from, and nothing that lies about in the cwd."""
    package_home = str(Path(mmer_ray.__file__).resolve().parent.parent)
    inherited = os.environ.get("PYTHONPATH", "")
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [package_home, inherited])),
        "PYTHONSAFEPATH": "1",
        # Thread pools of numpy's libraries would reserve address space for nothing.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
