"""The process that touches untrusted bytes: `python -m mmer_ray.audio.decoder_child MAX_MEMORY_MB`.

It answers requests on standard input (`wire.py`) one after the other until the input ends. Whatever a file does to
it, the parent goes on: memory is bounded by RLIMIT_AS, CPU seconds by RLIMIT_CPU, silence by an alarm of the kernel
that needs no Python to go off. It can write no file, has no network where the system allows that (`isolation.py`) and
no credentials (`guard.py`); the parent reads remote objects for it (`remote.py`). Results go out as they arise, with a
heartbeat about every second in between; the parent kills a child that sends nothing for too long.

Drill for crash isolation: the environment variable

    MMER_FAULTS="crash=*pattern*,hang=*pattern*,memory=*pattern*"

makes the child segfault, compute without end or take memory up to its limit on recordings whose uri matches. Such a
recording ends as `decoder_crash`, `decode_timeout` or `out_of_memory`; all others are scored.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from mmer_ray.audio.decoding import FOUND, Request
from mmer_ray.audio.faults import play_faults
from mmer_ray.audio.isolation import isolate
from mmer_ray.audio.opening import ByteSource, LocalBytes
from mmer_ray.audio.pulse import Pulse
from mmer_ray.audio.remote import RemoteBytes
from mmer_ray.audio.wire import EXIT_OUT_OF_MEMORY, Pipe
from mmer_ray.errors import MAX_MESSAGE_CHARS, AudioError, ErrorCode
from mmer_ray.sources.uris import is_row

if TYPE_CHECKING:
    from mmer_ray.audio.parquet_rows import ParquetRows


class Opener:
    """Opens what requests are about. A Parquet file stays open from one of its rows to the next."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._rows: ParquetRows | None = None

    def open(self, request: Request, pulse: Pulse) -> ByteSource:
        """The bytes of a request's recording. Raises `AudioError`."""
        if is_row(request.uri):
            return self._parquet_rows().row(request.uri, request.root)
        if request.remote_bytes is None:
            return LocalBytes(request.uri, request.root)
        return RemoteBytes(request.remote_bytes, partial(self._fetch, pulse))

    def _parquet_rows(self) -> ParquetRows:
        if self._rows is None:
            # Arrow takes a third of a second to import, which few children need.
            from mmer_ray.audio.parquet_rows import ParquetRows

            self._rows = ParquetRows()
        return self._rows

    def _fetch(self, pulse: Pulse, offset: int, num_bytes: int) -> bytes:
        pulse.rest()
        self._pipe.send({"kind": "read", "offset": offset, "num_bytes": num_bytes})
        answer = self._pipe.receive()
        pulse.resume()
        if answer is None:
            raise BrokenPipeError
        return answer[1]


def serve(pipe: Pipe, network_refusal: str | None) -> None:
    """Answer requests until the parent closes the pipe."""
    opener = Opener(pipe)
    pipe.send({"kind": "hello", "network_refusal": network_refusal})
    while (message := pipe.receive()) is not None:
        header, _ = message
        if header["kind"] == "usage":
            pipe.send({"kind": "usage", "peak_rss_kb": peak_rss_kb()})
        else:
            handle(Request(**header), pipe, opener)


def handle(request: Request, pipe: Pipe, opener: Opener) -> None:
    """Answer one request: windows or sound and facts, or the claimed duration, or why there are none."""

    def beat(decoded_s: float, waited_s: float) -> None:
        pipe.send({"kind": "beat", "decoded_s": decoded_s, "waited_s": waited_s})

    pulse = Pulse(request.stall_s, beat)
    try:
        with pulse:
            play_faults(request.uri)
            source = opener.open(request, pulse)
            with contextlib.closing(source):
                for header, samples in FOUND[request.kind](request, source, pulse):
                    # Until the parent reads, this process waits: that must not set off its alarm.
                    pulse.rest()
                    pipe.send(header, samples)
                    pulse.resume()
    except AudioError as exc:
        pipe.send(_failed(exc.code, exc.message))
    except BrokenPipeError:
        raise
    except MemoryError:
        pipe.send(_failed(ErrorCode.OUT_OF_MEMORY, "decoding needs more memory than the decoder may have"))
        os._exit(EXIT_OUT_OF_MEMORY)
    except Exception as exc:
        # A fault of this code, not of the file; it ends this recording and not the job.
        pipe.send(_failed(ErrorCode.INTERNAL, f"{type(exc).__name__}: {exc}"))


def limit_resources(max_memory_mb: int) -> None:
    """Bound this process: address space, no files written, no core dumps, no keyboard interrupts."""
    resource.setrlimit(resource.RLIMIT_AS, (max_memory_mb << 20, resource.getrlimit(resource.RLIMIT_AS)[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def peak_rss_kb() -> int:
    """Most resident memory that this process ever had, in KiB."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1])


def main() -> None:
    """Serve on the inherited pipes; nothing else in this process may write to them."""
    network_refusal = isolate()
    pipe = Pipe(os.dup(0), os.dup(1))
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(2, 1)
    av.logging.set_level(None)
    limit_resources(int(sys.argv[1]))
    try:
        serve(pipe, network_refusal)
    except BrokenPipeError:
        # The parent has ended.
        os._exit(0)


def _failed(code: ErrorCode, message: str) -> dict[str, Any]:
    return {"kind": "failed", "code": code.value, "message": message[:MAX_MESSAGE_CHARS]}


if __name__ == "__main__":
    main()
