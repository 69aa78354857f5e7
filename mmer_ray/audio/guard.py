"""The parent's side of the decoding child: start it, exchange messages under time limits, end it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

import mmer_ray
from mmer_ray.audio.faults import FAULTS_VARIABLE
from mmer_ray.audio.remote import MAX_BLOCK_BYTES
from mmer_ray.audio.wire import EXIT_OUT_OF_MEMORY, LENGTHS, pack, unpack_header, unpack_lengths
from mmer_ray.errors import AudioError, ErrorCode
from mmer_ray.records import Samples

START_S = 120.0
"""Most seconds for a child to start; imports from a slow network file system take a while."""
END_S = 5.0
"""Most seconds to wait for a child that was killed: one that waits for a dead file server cannot end."""
WAIT_BASE_S = 80.0
WAIT_PER_DECODED_S = 0.05
"""Waiting for one recording may take the base plus 1/20 of what was decoded of it, plus what the child spent waiting
for bytes. The child's CPU limit (`pulse.py`) is five times tighter per decoded second, so a recording that is slow to
decode meets that one; this one is met where the host has too little CPU time for its processes."""
MIN_CPU_SHARE = 0.1
"""A child that sends nothing and used less than this share of the time did not compute: it waited for a disk, or for a
CPU. A child that hangs in a loop gets more, even on a host with ten processes for each core."""
PASSED_VARIABLES = frozenset(
    {
        *("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "PYTHONUSERBASE", "HOME", "TMPDIR", "TZ"),
        *("LANG", "LANGUAGE", "MALLOC_ARENA_MAX", FAULTS_VARIABLE),
    }
)
"""All that the child inherits, besides LC_*: what Python needs to find its libraries and to read names."""
_CODE_BY_SIGNAL = {
    signal.SIGXCPU: ErrorCode.DECODE_TIMEOUT,
    # The alarm of `pulse.py` takes longer than the CPU limit: who meets it did not compute, or had no CPU.
    signal.SIGALRM: ErrorCode.IO_ERROR,
    **dict.fromkeys(
        (
            *(signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE),
            *(signal.SIGILL, signal.SIGTRAP, signal.SIGSYS),
        ),
        ErrorCode.DECODER_CRASH,
    ),
}
"""Signals that the child brings about itself. Any other one comes from outside: SIGKILL from the kernel, when the
machine is short of memory."""


class Reader(Protocol):
    """A remote object that the parent reads for its child; see `objects.ObjectReader`."""

    size_bytes: int

    def read_at(self, offset: int, num_bytes: int) -> bytes: ...


class GuardedChild:
    """One running child, for one thread. Once `receive` has raised an `AudioError`, it must be killed.

    `network_refusal`, after `greet`: why the child still has a network; None where it has none.
    """

    def __init__(self, max_memory_mb: int, stall_s: float) -> None:
        self._stall_s = stall_s
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mmer_ray.audio.decoder_child", str(max_memory_mb)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment(),
            bufsize=0,
            # Ctrl-C in the terminal is for the parent, which lets a recording end.
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to_child, self._from_child = self._process.stdin, self._process.stdout
        # A child that does not read must not hold its parent up.
        os.set_blocking(self._to_child.fileno(), False)
        self._answers, self._room = select.poll(), select.poll()
        self._answers.register(self._from_child, select.POLLIN)
        self._room.register(self._to_child, select.POLLOUT)
        self._silence_s = START_S
        self._wait_s = START_S
        self._earned_s = 0.0
        self._cpu_s = 0.0
        self._reader: Reader | None = None
        self.network_refusal: str | None = None
        self.pid = self._process.pid

    def greet(self) -> None:
        """Wait until the child is ready. Raises `AudioError`."""
        self.network_refusal = self.receive()[0]["network_refusal"]
        self._silence_s = self._stall_s

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, message: Mapping[str, Any], reader: Reader | None = None) -> None:
        """Send a request; the time for its answers starts anew. `reader`: the object that the request is about.

        Raises BrokenPipeError when the child has ended.
        """
        self._wait_s, self._earned_s = WAIT_BASE_S, 0.0
        self._reader = reader
        self._send(message)

    def receive(self) -> tuple[dict[str, Any], Samples]:
        """The next answer, with its int16 samples, shape (num_samples,); heartbeats and reads are dealt with here.

        Only time spent waiting for the child counts against it. Raises `AudioError` when it sends nothing for too
        long, takes too long in all, or has ended, and for an object that cannot be read.
        """
        while True:
            try:
                header, samples = self._message()
                if header["kind"] == "beat":
                    self._earn(header["decoded_s"] * WAIT_PER_DECODED_S + header["waited_s"])
                elif header["kind"] == "read":
                    self._read_for_child(header["offset"], header["num_bytes"])
                else:
                    return header, samples
            except (ValueError, TypeError, KeyError) as exc:
                raise AudioError(ErrorCode.DECODER_CRASH, f"the decoder sent a malformed message: {exc}") from exc
            except BrokenPipeError:
                raise self._exit_error() from None

    def interrupt(self) -> None:
        """Kill the process, from any thread; the thread that uses it then sees it end."""
        self._process.kill()

    def close(self) -> None:
        """Close the pipe; an idle child ends by itself."""
        self._to_child.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=END_S)
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
        self._cpu_s = self._used_cpu_s()
        return unpack_header(text), samples

    def _fill(self, view: memoryview) -> None:
        while view:
            self._wait(self._answers)
            num_bytes = os.readv(self._from_child.fileno(), [view])
            if not num_bytes:
                raise self._exit_error()
            view = view[num_bytes:]

    def _send(self, message: Mapping[str, Any], payload: bytes = b"") -> None:
        for part in (pack(message, len(payload)), payload):
            view = memoryview(part)
            while view:
                self._wait(self._room)
                view = view[os.write(self._to_child.fileno(), view) :]

    def _wait(self, poll: select.poll) -> None:
        began = time.monotonic()
        patience_s = min(self._silence_s, self._wait_s)
        if not poll.poll(patience_s * 1000):
            raise self._stall_error(patience_s)
        self._wait_s -= time.monotonic() - began
        if self._wait_s <= 0:
            message = "decoding takes far longer than its CPU time: the host is too busy"
            raise AudioError(ErrorCode.IO_ERROR, message)

    def _earn(self, earned_s: float) -> None:
        """Heartbeats name all that was earned so far; what is new since the last one is added to the time left."""
        self._wait_s += max(0.0, earned_s - self._earned_s)
        self._earned_s = earned_s

    def _read_for_child(self, offset: int, num_bytes: int) -> None:
        """Send bytes of the object. Whatever the child asks for, it gets nothing else and no more than a block."""
        reader = self._reader
        if reader is None or not (0 <= offset <= reader.size_bytes and 0 < num_bytes <= MAX_BLOCK_BYTES):
            raise ValueError("bytes were asked for that are not in the recording")
        self._send({"kind": "bytes"}, reader.read_at(offset, min(num_bytes, reader.size_bytes - offset)))

    def _used_cpu_s(self) -> float:
        """CPU seconds of the child so far, a zombie too; infinity where the system does not say (no /proc)."""
        try:
            status = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:
            return float("inf")
        # Fields 14 and 15 of proc_pid_stat(5); the name in field 2 may hold blanks and parentheses.
        user, system = status.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def _stall_error(self, silence_s: float) -> AudioError:
        """No answer for so long: a fault of the file if the child computed all the while, else of its surroundings."""
        used_s = self._used_cpu_s() - self._cpu_s
        # Not a number where there is no /proc: then the file is to blame, as a bound must hold.
        if used_s < MIN_CPU_SHARE * silence_s:
            waited = f"the decoder waited {silence_s:.0f} s for the file system or for a CPU"
            return AudioError(ErrorCode.IO_ERROR, waited)
        return AudioError(ErrorCode.DECODE_TIMEOUT, f"the decoder made no progress for {silence_s:.0f} s")

    def _exit_error(self) -> AudioError:
        """Why the child has ended, in terms of the recording."""
        try:
            code = self._process.wait(timeout=END_S)
        except subprocess.TimeoutExpired:
            return AudioError(ErrorCode.DECODER_CRASH, "the decoder closed its pipe and went on")
        if code == EXIT_OUT_OF_MEMORY:
            return AudioError(ErrorCode.OUT_OF_MEMORY, "decoding needs more memory than the decoder may have")
        if code >= 0:
            return AudioError(ErrorCode.INTERNAL, f"the decoder ended with exit code {code}; its stderr says why")
        number = signal.Signals(-code)
        if number in _CODE_BY_SIGNAL:
            return AudioError(_CODE_BY_SIGNAL[number], f"the decoder was ended by {number.name}")
        return AudioError(ErrorCode.KILLED, f"the decoder was ended from outside by {number.name}")


def child_environment() -> dict[str, str]:
    """All variables of the child: no credentials, no proxies, no key of a lake.

    It finds this very package, wherever the parent has it from, and no module that lies in the working directory.
    """
    package_home = str(Path(mmer_ray.__file__).resolve().parent.parent)
    passed = {name: value for name, value in os.environ.items() if name in PASSED_VARIABLES or name.startswith("LC_")}
    return {
        **passed,
        "PYTHONPATH": os.pathsep.join(filter(None, [package_home, os.environ.get("PYTHONPATH", "")])),
        "PYTHONSAFEPATH": "1",
        # Thread pools of numpy's libraries would reserve address space that nothing uses.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
