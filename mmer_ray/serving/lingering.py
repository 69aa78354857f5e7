"""Reading on from a client that was answered before it had sent everything."""

from __future__ import annotations

import asyncio

from starlette.types import Receive

LINGER_S = 30.0
"""A client that sends for longer may miss its answer."""
SILENCE_S = 2.0
"""A client that has stopped sending has read the answer, or waits for the connection's end."""
MAX_BYTES = 256 << 20


async def linger(receive: Receive) -> None:
    """Throw away what arrives until the body ends, the client is gone or silent, or it was enough."""
    loop = asyncio.get_running_loop()
    end, num_bytes = loop.time() + LINGER_S, 0
    while num_bytes <= MAX_BYTES and loop.time() < end:
        try:
            async with asyncio.timeout(SILENCE_S):
                message = await receive()
        except TimeoutError:
            return
        num_bytes += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body", False):
            return
