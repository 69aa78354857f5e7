"""A real uvicorn server on loopback, in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from mmer_ray.serving.bounded_heads import BoundedHttp

START_S = 20.0


@contextmanager
def serving(app: Any, **settings: Any) -> Iterator[str]:
    """Serve an ASGI app at a free port; the address without a slash at its end. `settings` are uvicorn's."""
    defaults: dict[str, Any] = {
        "http": BoundedHttp,
        # Its loggers as they are: what they say reaches the tests.
        "log_config": None,
        "log_level": "error",
        "timeout_graceful_shutdown": 2,
        "access_log": False,
    }
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, **(defaults | settings)))
    thread = threading.Thread(target=server.run, name="http-server", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{_port_of(server, thread)}"
    finally:
        server.should_exit = True
        thread.join(START_S)
        assert not thread.is_alive(), "the server does not stop"


def _port_of(server: uvicorn.Server, thread: threading.Thread) -> int:
    deadline = time.monotonic() + START_S
    while not server.started:
        assert thread.is_alive(), "the server ended at its start"
        assert time.monotonic() < deadline, "the server does not start"
        time.sleep(0.01)
    return int(server.servers[0].sockets[0].getsockname()[1])
