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
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from typing import Protocol

from fastapi import APIRouter
from starlette.types import Scope
from starlette.websockets import WebSocket, WebSocketDisconnect

from mmer_ray.audio.vad import VoiceDetector, load_vad
from mmer_ray.lake.columns import clean
from mmer_ray.profiles import Profile, VadOptions
from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving.api_errors import ApiError, invalid, no_room
from mmer_ray.serving.ended import CLIENT_GONE, Ended, OnEnd
from mmer_ray.serving.errors_middleware import internal, log_bug
from mmer_ray.serving.exchange import Models, check_heeded
from mmer_ray.serving.live_call import Document, Engine, HungUpError, LiveCall, Message, first_of
from mmer_ray.serving.live_messages import Start, error_message, start_of
from mmer_ray.serving.live_sound import SOUND_PREFIX, LiveSound
from mmer_ray.serving.request_head import is_own_page

PATH = "/v1/audio/stream"
SUBPROTOCOL = "mmer.stream"
"""Offered by browsers beside `mmer.bearer.KEY`: they want one to be chosen, and a key is not sent back."""
CLOSED_BY_ERROR = 4000
"""Status of a WebSocket that ends with an error: 4000 and the HTTP status, as 4429."""
NORMAL, POLICY_VIOLATION = 1000, 1008
"""Statuses of RFC 6455."""
FOREIGN = "foreign_origin"
"""Why a call that another site's page begins is refused."""
SOUNDS = "streams"
"""Folder in `serve.state` of the calls' sounds while they last."""
NUM_THREADS = 2
"""For all calls: listening takes less than a hundredth of a core each."""
KEY_LOOK_S = 5.0
"""So long after its key is revoked a call ends."""
CheckKey = Callable[[], Awaitable[object]]

_log = logging.getLogger(__name__)


class LiveService(Models, Protocol):
    """What live calls need of a `Service`."""

    @property
    def profile(self) -> Profile: ...


def live_router(service: LiveService, document: Document, on_end: Iterable[OnEnd] = ()) -> APIRouter:
    """The route of live calls, with `document` as the analysis that they end with. `on_end` is told of each call."""
    router = APIRouter()
    calls = LiveCalls(service, document, on_end)
    router.add_api_websocket_route(PATH, calls.answer, name="stream")
    return router


class LiveCalls:
    """All live calls of a gateway."""

    def __init__(self, service: LiveService, document: Document, on_end: Iterable[OnEnd]) -> None:
        self._options, self._on_end = service.options, tuple(on_end)
        self._threads = ThreadPoolExecutor(NUM_THREADS, "listening")
        self._engine = Engine(service.options, service.scorers, service.admission, self._threads, document)
        self._room = SoundRoom(Path(service.options.state) / SOUNDS, service.profile.vad, service.options)

    async def answer(self, websocket: WebSocket) -> None:
        """Hold one call, whatever becomes of it."""
        note = _Note(websocket.scope)
        if not is_own_page(websocket.scope):
            # The server answers the handshake with 403.
            await websocket.close(POLICY_VIOLATION, FOREIGN)
            note.status, note.code = HTTPStatus.FORBIDDEN, FOREIGN
            self._tell(note)
            return
        await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in websocket.scope["subprotocols"] else None)
        client = SocketClient(websocket, self._options.stream_silence_s)
        try:
            await self._call(client, note)
            note.status = HTTPStatus.OK
        except HungUpError:
            pass
        except ApiError as refusal:
            await note.refuse(client, refusal)
        except OSError as full:
            _log.error("a call's sound cannot be kept: %s", type(full).__name__)
            message = "the sound cannot be kept at the moment"
            await note.refuse(client, no_room("no_space", message, self._options.retry_after_s))
        except Exception as bug:
            log_bug(bug, websocket.scope)
            await note.refuse(client, internal())
        finally:
            self._tell(note)
        await client.close(NORMAL if note.status == HTTPStatus.OK else CLOSED_BY_ERROR + note.status)

    def _tell(self, note: _Note) -> None:
        ended = note.ended()
        for told in self._on_end:
            told(ended)

    async def _call(self, client: SocketClient, note: _Note) -> None:
        async with self._engine.admission.live_call(note.key):
            start = await self._started(client)
            # Before anybody speaks for long: what the models do not heed would else end the call at its first stretch.
            await check_heeded(self._engine, start.expected)
            async with self._sound(start) as sound:
                note.sound = sound
                await client.send({"type": "ready", "request_id": client.request_id})
                call = LiveCall(client, sound, self._engine, start.expected, note.key)
                await first_of(call.run(), _until_revoked(note.check_key))

    async def _started(self, client: SocketClient) -> Start:
        try:
            async with asyncio.timeout(self._options.body_silence_s):
                first = await client.receive()
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


async def _until_revoked(check_key: CheckKey | None) -> None:
    """Raise `ApiError` (401) once the caller's key is revoked. Where keys cannot be read a call goes on."""
    while True:
        await asyncio.sleep(KEY_LOOK_S)
        try:
            if check_key is not None:
                await check_key()
        except ApiError as refusal:
            if refusal.status == HTTPStatus.UNAUTHORIZED:
                raise


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


class SocketClient:
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
            async with self._sending, asyncio.timeout(self._patience_s):
                await self._websocket.send_text(text)
        except (TimeoutError, WebSocketDisconnect, RuntimeError) as exc:
            raise HungUpError from exc

    async def refuse(self, refusal: ApiError) -> None:
        """Say why the call ends."""
        with contextlib.suppress(HungUpError):
            await self.send(error_message(refusal, self.request_id))

    async def close(self, status: int) -> None:
        """End the connection, where it is still there."""
        with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(self._patience_s):
                await self._websocket.close(status)


class _Note:
    """What is told of a call once it is over."""

    def __init__(self, scope: Scope) -> None:
        self._state = scope["state"]
        self._began = time.perf_counter()
        self.key = str(self._state["key"])
        self.check_key: CheckKey | None = self._state.get("check_key")
        self.sound: LiveSound | None = None
        self.status: int = CLIENT_GONE
        self.code: str | None = None

    async def refuse(self, client: SocketClient, refusal: ApiError) -> None:
        """Note and tell the client why the call ends."""
        self.status, self.code = refusal.status, refusal.code
        await client.refuse(refusal)

    def ended(self) -> Ended:
        sound = self.sound
        return Ended(
            request_id=str(self._state.get("request_id", "")),
            key=self.key,
            method="GET",
            route=PATH,
            status=self.status,
            seconds=time.perf_counter() - self._began,
            body_bytes=0 if sound is None else round(sound.duration_s * sound.bytes_per_s),
            audio_s=None if sound is None else sound.duration_s,
            code=self.code,
        )
