"""`/v1/audio/stream`: live calls over a WebSocket.

The client sends `{"type": "start", "sample_rate": 16000, "channels": 1}`, then 16-bit PCM in binary messages, then
`{"type": "end"}`. It is sent `ready`, `utterance`, `progress`, and at last `final` or `error`, each with a `type`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Lock
from typing import Protocol
from urllib.parse import urlsplit

from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect

from mmer_ray.audio.vad import VoiceDetector, load_vad
from mmer_ray.lake.columns import clean
from mmer_ray.profiles import Profile, VadOptions
from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving.api_errors import ApiError, invalid, no_room
from mmer_ray.serving.interface import Scorers
from mmer_ray.serving.live_call import Admits, Document, Engine, HungUpError, LiveCall, Message
from mmer_ray.serving.live_messages import Start, error_message, start_of
from mmer_ray.serving.live_sound import SOUND_PREFIX, LiveSound

PATH = "/v1/audio/stream"
SUBPROTOCOL = "mmer.stream"
"""Offered by browsers beside `mmer.bearer.KEY`: they want one to be chosen, and a key is not sent back."""
CLOSED_BY_ERROR = 4000
"""Status of a WebSocket that ends with an error: 4000 and the HTTP status, as 4429."""
NORMAL, POLICY_VIOLATION = 1000, 1008
"""Statuses of RFC 6455."""
SOUNDS = "streams"
"""Folder in `serve.state` of the calls' sounds while they last."""
NUM_THREADS = 2
"""For all calls: listening takes less than a hundredth of a core each."""

_log = logging.getLogger(__name__)


class LiveService(Protocol):
    """What live calls need of `serving.service.Service`."""

    profile: Profile
    options: ServeOptions
    scorers: Scorers
    admission: Admits


def live_router(service: LiveService, document: Document) -> APIRouter:
    """The route of live calls, with `document` as the analysis that they end with."""
    router = APIRouter()
    calls = LiveCalls(service, document)
    router.add_api_websocket_route(PATH, calls.answer, name="stream")
    return router


class LiveCalls:
    """All live calls of a gateway."""

    def __init__(self, service: LiveService, document: Document) -> None:
        self._service, self._options = service, service.options
        self._threads = ThreadPoolExecutor(NUM_THREADS, "listening")
        self._engine = Engine(service.options, service.scorers, service.admission, self._threads, document)
        self._room = SoundRoom(Path(service.options.state) / SOUNDS, service.profile.vad, service.options)
        self._num_calls = 0

    async def answer(self, websocket: WebSocket) -> None:
        """Hold one call, whatever becomes of it."""
        if not is_own_page(websocket):
            # The server answers the handshake with 403.
            await websocket.close(POLICY_VIOLATION, "foreign_origin")
            return
        await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in websocket.scope["subprotocols"] else None)
        client = _Client(websocket, self._options.stream_silence_s)
        try:
            await self._call(client, str(websocket.scope["state"]["key"]))
            await client.close(NORMAL)
        except HungUpError:
            return
        except ApiError as refusal:
            await client.refuse(refusal)
        except Exception:
            _log.exception("a live call ended in an error")
            await client.refuse(
                ApiError(500, "internal", "an error on our side; the log has more under this request id")
            )

    async def _call(self, client: _Client, key: str) -> None:
        options = self._options
        if self._num_calls >= options.max_streams:
            raise no_room("too_many_streams", f"{options.max_streams} live calls are held", options.retry_after_s)
        self._num_calls += 1
        try:
            start = await self._started(client)
            async with self._sound(start) as sound:
                await client.send({"type": "ready", "request_id": client.request_id})
                await LiveCall(client, sound, self._engine, start.expected, key).run()
        finally:
            self._num_calls -= 1

    async def _started(self, client: _Client) -> Start:
        try:
            first = await asyncio.wait_for(client.receive(), self._options.body_silence_s)
        except TimeoutError as exc:
            raise ApiError(408, "silent_client", f"no start within {self._options.body_silence_s:g} s") from exc
        if isinstance(first, bytes):
            raise invalid("type", 'the first message is text: {"type": "start", "sample_rate": 16000}')
        return start_of(first)

    @asynccontextmanager
    async def _sound(self, start: Start) -> AsyncIterator[LiveSound]:
        loop = asyncio.get_running_loop()
        sound = await loop.run_in_executor(self._threads, self._room.opened, start.sample_rate, start.channels)
        try:
            yield sound
        finally:
            # Behind what a thread may still be doing with it: closing waits for that.
            loop.run_in_executor(self._threads, sound.close)


class SoundRoom:
    """Where the sounds of live calls lie while they last."""

    def __init__(self, folder: Path, vad: VadOptions, options: ServeOptions) -> None:
        self._folder, self._vad, self._options = folder, vad, options
        self._busy = Lock()
        self._detector: VoiceDetector | None = None

    def opened(self, rate_hz: int, num_channels: int) -> LiveSound:
        """Make an empty one; the first also loads the voice activity detector. For a thread."""
        with self._busy:
            if self._detector is None:
                self._folder.mkdir(0o700, parents=True, exist_ok=True)
                self._remove_left()
                self._detector = load_vad(self._vad)
        return LiveSound(self._folder, rate_hz, num_channels, self._detector)

    def _remove_left(self) -> None:
        """Remove what a gateway that was killed has left: nobody has written to it for longer than a call lasts."""
        oldest_s = time.time() - self._options.max_stream_s - self._options.request_timeout_s
        for path in self._folder.glob(f"{SOUND_PREFIX}*"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < oldest_s:
                    path.unlink()


class _Client:
    """`Connection` over a WebSocket that is accepted."""

    def __init__(self, websocket: WebSocket, patience_s: float) -> None:
        self._websocket, self._patience_s = websocket, patience_s
        self._sending = asyncio.Lock()
        self.request_id = str(websocket.scope["state"].get("request_id", ""))

    async def receive(self) -> bytes | str:
        """As `Connection.receive`."""
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise HungUpError
        data = message.get("bytes")
        received: bytes | str = data if data is not None else message["text"]
        return received

    async def send(self, message: Message) -> None:
        """As `Connection.send`. A client that takes nothing for long counts as gone."""
        text = clean(json.dumps(message, ensure_ascii=False, allow_nan=False))
        try:
            async with self._sending:
                await asyncio.wait_for(self._websocket.send_text(text), self._patience_s)
        except (TimeoutError, WebSocketDisconnect, RuntimeError) as exc:
            raise HungUpError from exc

    async def refuse(self, refusal: ApiError) -> None:
        """Say why the call ends, and end it."""
        with contextlib.suppress(HungUpError):
            await self.send(error_message(refusal, self.request_id))
            await self.close(CLOSED_BY_ERROR + refusal.status)

    async def close(self, status: int) -> None:
        with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            await asyncio.wait_for(self._websocket.close(status), self._patience_s)


def is_own_page(websocket: WebSocket) -> bool:
    """Whether a browser says that our page asks; programs say nothing. Browsers let any page open any WebSocket."""
    origin = websocket.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == websocket.headers.get("host")
