"""A client of live calls, for tests and measurements."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from mmer_ray.records import Samples

PATH = "/v1/audio/stream"


@dataclass
class Heard:
    """What came back of one call, with the seconds since its start."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    at_s: list[float] = field(default_factory=list)
    close_code: int | None = None

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The messages of one type."""
        return [message for message in self.messages if message["type"] == kind]

    @property
    def last(self) -> dict[str, Any]:
        return self.messages[-1]


async def call(
    address: str,
    samples: Samples,
    start: dict[str, Any] | None = None,
    *,
    message_s: float = 0.1,
    speed: float | None = None,
    ends: bool = True,
    key: str | None = None,
) -> Heard:
    """Hold one call: int16, shape (num_samples, num_channels), `speed` times as fast as real time, or at once."""
    rate_hz = (start or {}).get("sample_rate", 16_000)
    started = {"type": "start", "sample_rate": rate_hz, "channels": samples.shape[1], **(start or {})}
    heard, begin = Heard(), time.monotonic()
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    url = address.replace("http", "ws", 1) + PATH
    async with connect(url, max_size=None, additional_headers=headers) as socket:
        reading = asyncio.create_task(_read(socket, heard, begin))
        try:
            await socket.send(json.dumps(started))
            step = max(1, round(message_s * rate_hz))
            for first in range(0, len(samples), step):
                if speed is not None:
                    await asyncio.sleep(max(0.0, begin + (first + step) / rate_hz / speed - time.monotonic()))
                await socket.send(np.ascontiguousarray(samples[first : first + step]).tobytes())
            if ends:
                await socket.send('{"type": "end"}')
        except ConnectionClosed:
            pass
        await reading
    heard.close_code = socket.close_code
    return heard


async def _read(socket: ClientConnection, heard: Heard, begin: float) -> None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            heard.messages.append(json.loads(await socket.recv()))
            heard.at_s.append(time.monotonic() - begin)
