"""From recordings to windows of 16 kHz samples, through a child process that may die of a file without harm."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from mmer_ray.audio.guard import GuardedChild
from mmer_ray.errors import AudioError, ErrorCode, Flag
from mmer_ray.profiles import DecodeOptions
from mmer_ray.records import AudioFacts, Recording, Samples, Window

NAME = "decode"
VERSION = "2"
"""Goes up whenever the same bytes give other windows, facts or flags."""


class Decoder:
    """Decodes one recording after the other in one persistent child, started when first needed.

    A child that dies, hangs or outgrows its limits costs its recording alone; the next one gets a fresh child. Use one
    decoder per thread.

        with Decoder(DecodeOptions(), key) as decoder:
            for found in decoder.decode(recording):
                ...  # windows, at the end one AudioFacts
    """

    def __init__(self, options: DecodeOptions, key: bytes) -> None:
        """`key`: of the lake, at most 64 bytes; recording ids are hashes under it."""
        self._options = options
        self._key = key
        self._child: GuardedChild | None = None
        self._busy = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    def decode(self, recording: Recording) -> Iterator[Window | AudioFacts]:
        """Yield windows as they are ready, in order, then exactly one `AudioFacts`. Raises `AudioError`.

        Samples are int16, shape (num_samples,). Windows that came before an error are void.
        """
        with self._exchange("decode", recording) as child:
            while True:
                header, samples = _received(child)
                if header["kind"] == "facts":
                    break
                yield _window(recording, header, samples)
        yield _facts(header)

    def probe(self, recording: Recording) -> float | None:
        """Seconds that the header claims; None where it says nothing that could be true, or cannot be read."""
        try:
            with self._exchange("probe", recording) as child:
                header, _ = _received(child)
        except AudioError:
            return None
        claimed_s: float | None = header["duration_s"]
        return claimed_s

    def peak_rss_kb(self) -> int:
        """Most resident memory that the present child ever had, in KiB; starts a child where there is none."""
        child = self._ready_child()
        child.ask({"kind": "usage"})
        return int(child.receive()[0]["peak_rss_kb"])

    @contextlib.contextmanager
    def _exchange(self, kind: str, recording: Recording) -> Iterator[GuardedChild]:
        """One request. A child that has not answered it to the end is killed: its pipe holds the rest."""
        if not self._busy.acquire(blocking=False):
            raise RuntimeError(
                "a Decoder reads one recording at a time; finish or close the other one, or use a second"
            )
        is_settled = False
        try:
            child = self._asked(kind, recording)
            yield child
            is_settled = True
        except AudioError as exc:
            is_settled = isinstance(exc, _AnswerError) and exc.code is not ErrorCode.OUT_OF_MEMORY
            raise AudioError(exc.code, exc.message) from None
        finally:
            if not is_settled and self._child is not None:
                self._child.kill()
                self._child = None
            self._busy.release()

    def _asked(self, kind: str, recording: Recording) -> GuardedChild:
        request = self._request(kind, recording)
        child = self._ready_child()
        try:
            child.ask(request)
        except BrokenPipeError:
            # It died between two recordings (the kernel wanted its memory), which is no fault of this one.
            child.kill()
            self._child = None
            child = self._ready_child()
            child.ask(request)
        return child

    def _ready_child(self) -> GuardedChild:
        if self._child is not None and not self._child.is_alive():
            self._child.close()
            self._child = None
        if self._child is None:
            self._child = GuardedChild(self._options.max_memory_mb, self._options.stall_s)
            self._child.greet()
        return self._child

    def _request(self, kind: str, recording: Recording) -> dict[str, Any]:
        options = self._options.model_dump(exclude={"max_memory_mb"})
        return {"kind": kind, "uri": recording.uri, "root": recording.root, "key": self._key.hex(), **options}


class _AnswerError(AudioError):
    """The child's own verdict: it is well and waits for the next request."""


def _received(child: GuardedChild) -> tuple[dict[str, Any], Samples]:
    header, samples = child.receive()
    if header["kind"] == "failed":
        raise _AnswerError(ErrorCode(header["code"]), header["message"])
    return header, samples


def _window(recording: Recording, header: dict[str, Any], samples: Samples) -> Window:
    return Window(
        recording=recording,
        index=header["index"],
        channel=header["channel"],
        start_s=header["start_s"],
        end_s=header["end_s"],
        samples=samples,
        apart=header["apart"],
    )


def _facts(header: dict[str, Any]) -> AudioFacts:
    return AudioFacts(
        recording_id=header["recording_id"],
        duration_s=header["duration_s"],
        channels=header["channels"],
        sample_rate_hz=header["sample_rate_hz"],
        codec=header["codec"],
        container=header["container"],
        flags=tuple(Flag(name) for name in header["flags"]),
    )
