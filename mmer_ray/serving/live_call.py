"""One live call: sound comes in, utterances go out as each is finished, and at the end the analysis of all of it.

What is sent before the end is provisional: each stretch of speech is scored by itself, so it knows nothing of the rest.
The final message holds what the batch job writes for the same samples in a WAV file. It is made as long as the client
waits for it, however full the endpoint is: the sound is kept nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeVar

from mmer_ray.audio.limits import BYTES_PER_VALUE
from mmer_ray.errors import ErrorCode
from mmer_ray.records import Expected, ScoredRecording
from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving.admission import Admission
from mmer_ray.serving.api_errors import ApiError, invalid
from mmer_ray.serving.exchange import refusal_of, scored_unless, served_by
from mmer_ray.serving.interface import Asked, Scorers, Served
from mmer_ray.serving.known_speakers import NAMES, SOUNDS
from mmer_ray.serving.live_messages import message_of, progress_message, skipped_message, utterance_message
from mmer_ray.serving.live_sound import LiveSound, LiveStretch
from mmer_ray.serving.live_speakers import LiveSpeakers

MAX_MESSAGE_BYTES = 1 << 20
"""Of sound: half a minute at 16 kHz."""
MAX_WAITING = 8
"""Stretches that wait to be scored; then nothing more is read for a while, which a client that sends faster than
people speak feels in its socket ..."""
MAX_PAUSE_S = 5.0
"""... and after this time a stretch is told without its words: a socket that is not read for long is taken for dead."""
PROGRESS_EVERY_S = 1.0
"""Of sound."""
LOOK_S = 1.0
"""A client that sends nothing for a while learns this much later that its call is over."""
LATE_S = 10.0
"""Utterances that come so much later than the analysis are left out: it holds them."""
HEARD_SHARE = 0.5
"""Of `drain_s` a call goes on while the endpoint stops; the rest is for its final message."""

T = TypeVar("T")
EndedBy = Literal["end", "max_stream_s", "max_job_body_bytes", "drain_s"]
"""The client's word, or the setting that a call is held to."""
Message = Mapping[str, Any]
Document = Callable[[ScoredRecording, Served], Message]
"""Makes the analysis of a scored recording."""


class Connection(Protocol):
    """The client's side of a call."""

    async def receive(self) -> bytes | str:
        """The next message. Raises `HungUpError` once the client is gone."""
        ...

    async def send(self, message: Message) -> None:
        """Send JSON. Raises `HungUpError`."""
        ...


class HungUpError(Exception):
    """The client is gone, or takes nothing more."""


@dataclass(frozen=True)
class Engine:
    """What scores the stretches of all calls."""

    options: ServeOptions
    scorers: Scorers
    admission: Admission
    threads: Executor
    """What listens for the ends of speech."""
    document: Document


class LiveCall:
    """From the first sample to the final message."""

    def __init__(self, connection: Connection, sound: LiveSound, engine: Engine, expected: Expected, key: str) -> None:
        self._connection, self._sound, self._engine = connection, sound, engine
        self._expected, self._key = expected, key
        self._stretches: asyncio.Queue[LiveStretch] = asyncio.Queue(MAX_WAITING)
        self._speakers = LiveSpeakers(sound.rate_hz, sound.num_channels)
        self._num_waiting = 0
        self._num_sent = 0
        self._told_s = 0.0

    async def run(self) -> None:
        """Hear the call to its end. Raises `ApiError` where it cannot be, `HungUpError`."""
        await first_of(self._hear(), self._score_stretches())

    async def _hear(self) -> None:
        ended_by = await self._take_sound()
        await first_of(self._finish(ended_by), self._watch(ended_by))

    async def _finish(self, ended_by: EndedBy) -> None:
        """Have all of it scored, beside the stretches that still wait."""
        if not self._sound.duration_s:
            raise ApiError(422, ErrorCode.NO_SAMPLES, "the call ended before a sample was sent")
        for stretch in await self._working(self._sound.finish):
            await self._wait_to_be_scored(stretch)
        whole = await self._working(self._sound.whole, self._engine.options.max_body_bytes)
        scored = await self._all_scored(Asked(whole, self._expected, is_job=self._is_long, is_call=self._is_long))
        if scored.failure is not None:
            raise refusal_of(scored.failure, self._engine.options.retry_after_s)
        served = await self._insisted(lambda: served_by(self._engine))
        document = await self._working(self._engine.document, scored, served)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LATE_S):
                await self._stretches.join()
        await self._connection.send({"type": "final", "ended_by": ended_by, "analysis": document})

    @property
    def _is_long(self) -> bool:
        """Whether all of it is more than a request may bring."""
        options, sound = self._engine.options, self._sound
        decoded_bytes = sound.duration_s * sound.rate_hz * sound.num_channels * BYTES_PER_VALUE
        return sound.duration_s > options.max_audio_s or decoded_bytes > options.max_decoded_bytes

    async def _watch(self, ended_by: EndedBy) -> None:
        """Notice that the client is gone while its answer is made. Raises `HungUpError`."""
        while True:
            await self._connection.receive()
            # Who was cut off at the limit may still be speaking.
            if ended_by == "end":
                raise ApiError(400, "after_end", 'nothing may come after "end"')

    async def _take_sound(self) -> EndedBy:
        """Hand on what comes; say what ended it."""
        begun_s = heard_s = time.monotonic()
        while (limit := self._limit(begun_s)) is None:
            message = await self._next_message(heard_s)
            if message is None:
                continue
            if isinstance(message, bytes):
                await self._take(message)
            elif message_of(message)["type"] == "end":
                return "end"
            else:
                raise invalid("type", 'behind "start" come binary messages and "end"')
            heard_s = time.monotonic()
        return limit

    def _limit(self, begun_s: float) -> EndedBy | None:
        """The setting that ends a call which began then (monotonic); None where it may go on."""
        options, sound = self._engine.options, self._sound
        if sound.duration_s >= options.max_job_body_bytes / sound.bytes_per_s:
            return "max_job_body_bytes"
        if sound.duration_s >= options.max_stream_s or time.monotonic() >= begun_s + options.max_stream_s:
            return "max_stream_s"
        # Without a sample there is nothing to analyse: that is told when it ends.
        if sound.duration_s and self._engine.admission.draining_s >= HEARD_SHARE * options.drain_s:
            return "drain_s"
        return None

    async def _next_message(self, heard_s: float) -> bytes | str | None:
        """What the client sends next; None where nothing came for a moment. `heard_s`: when something came last.

        Raises `ApiError` (408) where that is too long ago.
        """
        silence_s = self._engine.options.stream_silence_s
        left_s = heard_s + silence_s - time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, min(LOOK_S, left_s))):
                return await self._connection.receive()
        except TimeoutError as exc:
            if left_s > LOOK_S:
                return None
            message = f"nothing came for {silence_s:g} s; send sound or end"
            raise ApiError(408, "silent_client", message) from exc

    async def _take(self, pcm: bytes) -> None:
        if len(pcm) > MAX_MESSAGE_BYTES:
            raise ApiError(413, "message_too_big", f"a message of sound has {MAX_MESSAGE_BYTES} bytes at most")
        try:
            stretches = await self._working(self._sound.add, pcm)
        except ValueError as exc:
            raise ApiError(400, "invalid_sound", str(exc)) from exc
        for stretch in stretches:
            await self._wait_to_be_scored(stretch)
        if self._sound.duration_s - self._told_s >= PROGRESS_EVERY_S:
            self._told_s = self._sound.duration_s
            await self._connection.send(progress_message(self._told_s, self._sound.is_speaking, self._num_waiting))

    async def _wait_to_be_scored(self, stretch: LiveStretch) -> None:
        try:
            async with asyncio.timeout(MAX_PAUSE_S):
                await self._stretches.put(stretch)
            self._num_waiting += 1
        except TimeoutError:
            await self._skip(stretch)

    async def _skip(self, stretch: LiveStretch) -> None:
        await self._connection.send(skipped_message(stretch.channel, stretch.start_s, stretch.end_s))

    async def _score_stretches(self) -> None:
        while True:
            stretch = await self._stretches.get()
            sound = await self._working(self._sound.cut, stretch)
            try:
                await self._tell(stretch, sound, await self._heard(sound, stretch.end_s - stretch.start_s))
            except ApiError as refusal:
                if not _may_pass(refusal):
                    raise
                await self._skip(stretch)
            self._num_waiting -= 1
            self._stretches.task_done()

    async def _tell(self, stretch: LiveStretch, sound: bytes, scored: ScoredRecording) -> None:
        names = await self._working(self._speakers.names, scored, stretch.channel, sound)
        for one in scored.utterances:
            self._num_sent += 1
            named = replace(one, speaker_name=names.get(one.speaker))
            await self._connection.send(utterance_message(self._num_sent, named, stretch.channel, stretch.start_s))

    async def _heard(self, sound: bytes, seconds: float) -> ScoredRecording:
        """Score one stretch, asking who of those heard so far speaks in it."""
        known = self._speakers.known()
        try:
            return await self._scored(Asked(sound, self._expected, known), seconds)
        except ApiError as refusal:
            if not known or refusal.param not in (NAMES, SOUNDS):
                raise
            self._speakers.forget()
            return await self._scored(Asked(sound, self._expected), seconds)

    async def _scored(self, asked: Asked, seconds: float) -> ScoredRecording:
        """Score a stretch as soon as there is room. Raises `ApiError` as `_insisted`."""

        async def score() -> ScoredRecording:
            async with self._engine.admission.place_in_call(self._key, seconds):
                return await scored_unless(self._engine, asked, self._engine.options.request_timeout_s)

        return await self._insisted(score)

    async def _all_scored(self, asked: Asked) -> ScoredRecording:
        """Score all of the call, however long that takes: who does not want it any more hangs up.

        Raises `ApiError` as `_insisted`, where models that end with it have had the call's own time on top.
        """
        seconds = self._sound.duration_s

        async def score() -> ScoredRecording:
            async with self._engine.admission.place_in_call(self._key, seconds, is_all=True):
                return await scored_unless(self._engine, asked, timeout_s=None)

        return await self._insisted(score, more_s=seconds)

    async def _insisted(self, work: Callable[[], Awaitable[T]], more_s: float = 0.0) -> T:
        """Try again while there is no room, or no model. Raises `ApiError` where that lasts the time of a request and
        `more_s`."""
        options = self._engine.options
        deadline = time.monotonic() + options.request_timeout_s + more_s
        while True:
            try:
                return await work()
            except ApiError as refusal:
                if not _may_pass(refusal) or time.monotonic() + options.retry_after_s > deadline:
                    raise
            await asyncio.sleep(options.retry_after_s)

    async def _working(self, work: Callable[..., T], *given: Any) -> T:
        """Do what takes time away from the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._engine.threads, work, *given)


def _may_pass(refusal: ApiError) -> bool:
    """Whether another try may go better: there was no room or no model."""
    return refusal.status in (429, 503)


async def first_of(*works: Coroutine[Any, Any, None]) -> None:
    """Do several things until one of them ends or fails, then give up the others."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                return task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
