"""Who may have a place with the models: requests at a time in all and of one key, and seconds of audio that wait.

A live call is counted from its start to its end. Its parts take places too, each while it is scored.

Everything happens on one event loop, so that counting needs no lock. A gateway counts for itself.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving.api_errors import ApiError, no_room


class Admission:
    """Counts places. A place is free again when its `async with` ends, however it ends."""

    def __init__(self, options: ServeOptions) -> None:
        self._options = options
        self._by_key: Counter[str] = Counter()
        self._in_flight = 0
        self._queued_s = 0.0
        self._calls: Counter[str] = Counter()
        """Key -> live calls that it holds."""
        self._draining_since_s: float | None = None
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    @property
    def in_flight(self) -> int:
        """Places taken."""
        return self._in_flight

    @property
    def queued_s(self) -> float:
        """Seconds of audio that are scored or wait for it, as estimated."""
        return self._queued_s

    @property
    def draining(self) -> bool:
        """Whether no more places are given but to live calls that are held, because the endpoint stops."""
        return self._draining_since_s is not None

    @property
    def draining_s(self) -> float:
        """Seconds since draining began; 0 before."""
        return 0.0 if self._draining_since_s is None else time.monotonic() - self._draining_since_s

    def of_key(self, key: str) -> int:
        """Places that a key has."""
        return self._by_key[key]

    def drain(self) -> None:
        """Give no more places but to live calls that are held, and begin no more of these."""
        if self._draining_since_s is None:
            self._draining_since_s = time.monotonic()

    async def drained(self, timeout_s: float) -> bool:
        """Drain, and wait until all places are free and all live calls have ended; False where it took longer."""
        self.drain()
        try:
            async with asyncio.timeout(timeout_s):
                await self._is_empty.wait()
        except TimeoutError:
            return False
        return True

    @asynccontextmanager
    async def place(self, key: str, seconds: float) -> AsyncIterator[None]:
        """A place for a clip of so many seconds. Raises `ApiError` where there is none: 429 if this key has too many,
        else 503."""
        refusal = self._stopping() or self._refusal(key, seconds)
        if refusal is not None:
            raise refusal
        self._take(key, 1, seconds)
        try:
            yield
        finally:
            self._take(key, -1, -seconds)

    @asynccontextmanager
    async def live_call(self, key: str) -> AsyncIterator[None]:
        """Room for a live call, from its start to its end. Raises `ApiError` where there is none: 429 if this key holds
        too many, else 503."""
        refusal = self._stopping() or self._call_refusal(key)
        if refusal is not None:
            raise refusal
        self._calls[key] += 1
        self._note_empty()
        try:
            yield
        finally:
            self._calls -= Counter({key: 1})
            self._note_empty()

    @asynccontextmanager
    async def place_in_call(self, key: str, seconds: float, *, is_all: bool = False) -> AsyncIterator[None]:
        """A place for a part of a live call that is held, also while draining. Raises `ApiError` as `place`, but not
        for all of a call: with its start came the right to its end.

        All of a call counts as the longest clip of a request at most: with an hour nobody else would have a place, and
        of an hour only minutes are decoded ahead.
        """
        refusal = None if is_all else self._refusal(key, seconds)
        if refusal is not None:
            raise refusal
        seconds = min(seconds, self._options.max_audio_s)
        self._take(key, 1, seconds)
        try:
            yield
        finally:
            self._take(key, -1, -seconds)

    def _stopping(self) -> ApiError | None:
        return no_room("stopping", "the endpoint is stopping", self._options.retry_after_s) if self.draining else None

    def _call_refusal(self, key: str) -> ApiError | None:
        options, retry_s = self._options, self._options.retry_after_s
        if self._calls[key] >= options.max_streams_per_key:
            message = f"this key holds {options.max_streams_per_key} live calls"
            return no_room("rate_limit_exceeded", message, retry_s, status=429)
        if self._calls.total() >= options.max_streams:
            return no_room("too_many_streams", f"{options.max_streams} live calls are held", retry_s)
        return None

    def _refusal(self, key: str, seconds: float) -> ApiError | None:
        options, retry_s = self._options, self._options.retry_after_s
        if self._by_key[key] >= options.max_in_flight_per_key:
            most = options.max_in_flight_per_key
            return no_room("rate_limit_exceeded", f"this key has {most} requests under way", retry_s, status=429)
        if self._in_flight >= options.max_in_flight:
            return no_room("overloaded", "too many requests are under way", retry_s)
        # A clip longer than all that may wait is taken when nothing else waits: else it would never be.
        if self._in_flight and self._queued_s + seconds > options.max_queued_s:
            return no_room("overloaded", "too much audio waits to be scored", retry_s)
        return None

    def _take(self, key: str, places: int, seconds: float) -> None:
        self._in_flight += places
        self._by_key[key] += places
        if not self._by_key[key]:
            del self._by_key[key]
        # Sums of floats leave a rest.
        self._queued_s = self._queued_s + seconds if self._in_flight else 0.0
        assert self._in_flight >= 0, "a place was given back twice"
        self._note_empty()

    def _note_empty(self) -> None:
        if self._in_flight or self._calls:
            self._is_empty.clear()
        else:
            self._is_empty.set()
