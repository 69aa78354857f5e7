"""A proxy in front of an S3 server that fails in chosen ways, by a seed, and counts what it is asked for."""

from __future__ import annotations

import http.client
import os
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


@dataclass
class FaultProxy:
    """Shares of requests that fail, and the requests so far."""

    target: str
    seed: int = 0
    refused: float = 0.0
    """503 without looking at the request."""
    stalled: float = 0.0
    stall_s: float = 0.3
    reset: float = 0.0
    """The connection breaks before the request is passed on."""
    unanswered: float = 0.0
    """The request is done, the connection breaks before its answer."""
    truncated: float = 0.0
    """Half of the answer's body comes."""
    faults: Counter[str] = field(default_factory=Counter)
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Method and path with query."""
    num_bytes: int = 0
    """Of all bodies sent."""

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._lock = threading.Lock()

    def draw(self, method: str, path: str) -> str:
        """What becomes of the next request."""
        with self._lock:
            self.requests.append((method, path))
            place = self._chance.random()
            for name in ("refused", "stalled", "reset", "unanswered", "truncated"):
                place -= getattr(self, name)
                if place < 0:
                    self.faults[name] += 1
                    return name
        return "none"

    def counted(self) -> Counter[str]:
        """Requests so far by method."""
        return Counter(method for method, _ in self.requests)

    @contextmanager
    def running(self) -> Iterator[str]:
        """Serve; gives the address."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("OneHandler", (_Handler,), {"proxy": self}))
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FaultProxy

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.proxy.draw(self.command, self.path)
        if fault == "refused":
            self._send(503, [], b"" if self.command == "HEAD" else SLOW_DOWN, len(SLOW_DOWN))
            return
        if fault == "stalled":
            time.sleep(self.proxy.stall_s)
        if fault == "reset":
            self._break()
            return
        status, headers, data, length = self._forwarded(body)
        if fault == "unanswered":
            self._break()
        elif fault == "truncated" and len(data) > 1:
            self._send(status, headers, data[: len(data) // 2], length)
            self._break()
        else:
            self._send(status, headers, data, length)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815

    def _forwarded(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes, int]:
        connection = http.client.HTTPConnection(urlsplit(self.proxy.target).netloc, timeout=30)
        try:
            # Signed with the proxy's name, which the server behind it does not look at.
            connection.request(self.command, self.path, body, dict(self.headers))
            response = connection.getresponse()
            data = response.read()
            length = int(response.getheader("Content-Length") or len(data))
            kept = [
                (name, value)
                for name, value in response.getheaders()
                if name.lower() not in ("content-length", "transfer-encoding", "connection")
            ]
            return response.status, kept, data, length
        finally:
            connection.close()

    def _send(self, status: int, headers: list[tuple[str, str]], data: bytes, length: int) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(data)
        self.proxy.num_bytes += len(data)

    def _break(self) -> None:
        """Reset the connection."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def log_message(self, format: str, *args: object) -> None:
        pass
