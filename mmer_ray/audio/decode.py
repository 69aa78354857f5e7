"""From recordings to windows of 16 kHz samples, through a child process that may die of a file without harm."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from mmer_ray.audio.children import ChildPool, Place
from mmer_ray.audio.guard import GuardedChild
from mmer_ray.audio.needed import SoundRange
from mmer_ray.audio.stop import Stop
from mmer_ray.errors import AudioError, ErrorCode, Flag
from mmer_ray.profiles import DecodeOptions
from mmer_ray.records import AudioFacts, Recording, Samples, Window
from mmer_ray.sources.objects import ObjectReader
from mmer_ray.sources.uris import is_remote

VERSION = "2"
"""Goes up whenever the same bytes give other windows, facts or flags."""


class Decoder:
    """Decodes recordings in a small pool of persistent children, each started when first needed.

    A child that dies, hangs or exceeds its limits costs its recording alone; the next one gets a fresh child. All
    methods may be called from several threads: with all children at work, a caller waits for one.

        with Decoder(DecodeOptions()) as decoder:
            for found in decoder.decode(recording):
                ...  # windows, at the end one AudioFacts
    """

    def __init__(self, options: DecodeOptions, num_children: int = 1) -> None:
        """`num_children`: most recordings that are decoded at a time."""
        if num_children < 1:
            raise ValueError(f"a decoder needs at least one child, not {num_children}")
        self._options = options
        self._pool = ChildPool(num_children, lambda: GuardedChild(options.max_memory_mb, options.stall_s))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all children. Whoever decodes or waits in another thread gets a RuntimeError, as does any later use."""
        self._pool.close()

    def decode(
        self, recording: Recording, needed: Sequence[SoundRange] | None = None, stop: Stop | None = None
    ) -> Generator[Window | AudioFacts, None, None]:
        """Yield windows as they are ready, in order, then exactly one `AudioFacts`.

        With `needed` only the windows that hold some of these ranges come, equal to those that all would be; of the
        facts only `content_digest` is then to be trusted.

        Samples are int16, shape (num_samples,). Raises `AudioError`; windows that came before it are void. Raises
        RuntimeError when the decoder is closed, or when the calling thread holds all children already. An iteration
        that is left early must be closed (`contextlib.closing`): that ends its child and frees its place. Setting
        `stop` ends one from another thread, also while it waits for a child: it raises `AudioError`.
        """
        with contextlib.closing(self._answers("decode", recording, needed, stop)) as answers:
            for header, samples in answers:
                yield _facts(header) if header["kind"] == "facts" else _window(recording, header, samples)

    def sound(self, recording: Recording) -> Generator[Samples | AudioFacts, None, None]:
        """Yield all samples in order, then exactly one `AudioFacts` without flags: what windows are made of, before
        parties are told apart and levels raised. Int16 at 16 kHz, shape (num_channels, num_samples), a second or less;
        one channel, or the file's two. Raises as `decode` does, and is closed like it."""
        with contextlib.closing(self._answers("sound", recording)) as answers:
            for header, samples in answers:
                yield _facts(header) if header["kind"] == "facts" else samples.reshape(-1, header["num_channels"]).T

    def _answers(
        self,
        kind: str,
        recording: Recording,
        needed: Sequence[SoundRange] | None = None,
        stop: Stop | None = None,
    ) -> Generator[tuple[dict[str, Any], Samples], None, None]:
        """The child's messages, up to the facts, which come once the child has settled."""
        with _opened(recording) as reader:
            with self._exchange(kind, recording, reader, needed, stop) as child:
                while True:
                    header, samples = _received(child)
                    if header["kind"] == "facts":
                        break
                    yield header, samples
            if reader is not None and reader.changed():
                raise AudioError(ErrorCode.CHANGED_DURING_READ, "the object was replaced while it was read")
        yield header, samples

    def probe(self, recording: Recording) -> float | None:
        """Seconds that the header claims; None where it says nothing that could be true, or cannot be read.

        Reads a bounded part of the file: 16 MiB at most.
        """
        try:
            with _opened(recording) as reader, self._exchange("probe", recording, reader) as child:
                header, _ = _received(child)
        except AudioError:
            return None
        claimed_s: float | None = header["duration_s"]
        return claimed_s

    def network_isolation(self) -> str | None:
        """Why a child on this host can reach the network; None where it cannot. Raises `AudioError` if none starts."""
        with self._pool.place() as place:
            return self._pool.ready_child(place).network_refusal

    def peak_rss_kb(self) -> int:
        """Most resident memory that one of the children ever had, in KiB; starts a child where there is none."""
        with self._pool.place() as place:
            child = self._pool.ready_child(place)
            child.ask({"kind": "usage"})
            return int(child.receive()[0]["peak_rss_kb"])

    @contextlib.contextmanager
    def _exchange(
        self,
        kind: str,
        recording: Recording,
        reader: ObjectReader | None,
        needed: Sequence[SoundRange] | None = None,
        stop: Stop | None = None,
    ) -> Iterator[GuardedChild]:
        """One request. A child that has not answered it to the end is killed: its pipe holds the rest."""
        stop = stop or Stop()
        with self._pool.place(stop) as place:
            is_settled = False
            try:
                child = self._asked(place, self._request(kind, recording, reader) | {"needed": needed}, reader)
                with stop.calling(child.interrupt):
                    yield child
                is_settled = not stop.is_set
            except AudioError as exc:
                if self._pool.is_closed:
                    raise RuntimeError("the decoder was closed while it was at work") from None
                is_well = isinstance(exc, _AnswerError) and exc.code is not ErrorCode.OUT_OF_MEMORY
                # A child that was told to end may live a moment longer: the next recording must not meet it.
                is_settled = is_well and not stop.is_set
                raise AudioError(exc.code, exc.message) from None
            finally:
                if not is_settled:
                    self._pool.discard(place)

    def _asked(self, place: Place, request: dict[str, Any], reader: ObjectReader | None) -> GuardedChild:
        child = self._pool.ready_child(place)
        try:
            child.ask(request, reader)
        except BrokenPipeError:
            # It ended between two recordings (the kernel was short of memory): no fault of this one.
            self._pool.discard(place)
            child = self._pool.ready_child(place)
            child.ask(request, reader)
        return child

    def _request(self, kind: str, recording: Recording, reader: ObjectReader | None) -> dict[str, Any]:
        options = self._options.model_dump(exclude={"max_memory_mb"})
        remote_bytes = None if reader is None else reader.size_bytes
        return {"kind": kind, "uri": recording.uri, "root": recording.root, "remote_bytes": remote_bytes, **options}


class _AnswerError(AudioError):
    """The child itself said so: it is well and waits for the next request."""


@contextlib.contextmanager
def _opened(recording: Recording) -> Iterator[ObjectReader | None]:
    """The object behind a remote recording; None for a local file, which the child opens. Raises `AudioError`."""
    if not is_remote(recording.uri):
        yield None
        return
    if not recording.uri.startswith(recording.root):
        raise AudioError(ErrorCode.OUTSIDE_ROOT, "the object lies outside its prefix; name one with --root")
    with contextlib.closing(ObjectReader(recording.uri)) as reader:
        yield reader


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
        one_speaker=header["one_speaker"],
    )


def _facts(header: dict[str, Any]) -> AudioFacts:
    return AudioFacts(
        content_digest=header["content_digest"],
        duration_s=header["duration_s"],
        channels=header["channels"],
        sample_rate_hz=header["sample_rate_hz"],
        codec=header["codec"],
        container=header["container"],
        flags=tuple(Flag(name) for name in header["flags"]),
    )
