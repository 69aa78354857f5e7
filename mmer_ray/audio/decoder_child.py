"""The process that touches untrusted bytes: `python -m mmer_ray.audio.decoder_child MAX_MEMORY_MB`.

It answers requests on standard input (`wire.py`) one after the other until the input ends. Whatever a file does to
it, the parent goes on: memory is bounded by RLIMIT_AS, CPU seconds by RLIMIT_CPU, silence by an alarm of the kernel
that needs no Python to go off, and it can write no file. Results go out as they arise, with a heartbeat about every
second in between; the parent kills a child that it hears nothing of.

Drill for crash isolation: the environment variable

    MMER_FAULTS="crash=*pattern*,hang=*pattern*,memory=*pattern*"

makes the child segfault, fall silent or eat memory up to its limit on recordings whose uri matches. Such a recording
ends as `decoder_crash`, `decode_timeout` or `out_of_memory`; all others are scored.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import av

from mmer_ray.audio.decoding import Request, answers, claimed_duration
from mmer_ray.audio.faults import play_faults
from mmer_ray.audio.pulse import Pulse
from mmer_ray.audio.wire import EXIT_OUT_OF_MEMORY, Pipe
from mmer_ray.errors import MAX_MESSAGE_CHARS, AudioError, ErrorCode


def serve(pipe: Pipe) -> None:
    """Answer requests until the parent hangs up."""
    pipe.send({"kind": "hello"})
    while (message := pipe.receive()) is not None:
        if message["kind"] == "usage":
            pipe.send({"kind": "usage", "peak_rss_kb": peak_rss_kb()})
        else:
            handle(Request(**message), pipe)


def handle(request: Request, pipe: Pipe) -> None:
    """Answer one request: windows and facts, or the claimed duration, or why there are none."""
    pulse = Pulse(request.stall_s, lambda decoded_s: pipe.send({"kind": "beat", "decoded_s": decoded_s}))
    try:
        with pulse:
            play_faults(request.uri)
            found = answers(request, pulse) if request.kind == "decode" else iter([claimed_duration(request, pulse)])
            for header, samples in found:
                # The parent reads when it is ready; that is no silence of ours.
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
    pipe = Pipe(os.dup(0), os.dup(1))
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(2, 1)
    av.logging.set_level(None)
    limit_resources(int(sys.argv[1]))
    try:
        serve(pipe)
    except BrokenPipeError:
        # The parent is gone; there is nobody to tell.
        os._exit(0)


def _failed(code: ErrorCode, message: str) -> dict[str, Any]:
    return {"kind": "failed", "code": code.value, "message": message[:MAX_MESSAGE_CHARS]}


if __name__ == "__main__":
    main()
