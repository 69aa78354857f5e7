"""A proxy in front of the dashboard that says who looks, as companies have one; on loopback, for tests."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

HEADER = "X-User"
MAX_HEAD_BYTES = 65_536


@contextmanager
def proxy_to(address: str, name: str | None) -> Iterator[str]:
    """The address of a proxy that puts `name` in place of what a request says of its user; None: nobody's name."""
    backend = urlsplit(address)

    class Passing(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            head, rest = _head(self.request)
            if not head:
                return
            with socket.create_connection((backend.hostname or "", backend.port or 0)) as behind:
                behind.sendall(_with_name(head, name) + rest)
                back = threading.Thread(target=_pass, args=(behind, self.request), daemon=True)
                back.start()
                _pass(self.request, behind)
                back.join()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = allow_reuse_address = True

    with Server(("127.0.0.1", 0), Passing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


def _head(source: socket.socket) -> tuple[bytes, bytes]:
    """The head of a request, and what came after it so far; empty where the connection ends before."""
    got = b""
    while b"\r\n\r\n" not in got and len(got) < MAX_HEAD_BYTES:
        data = source.recv(MAX_HEAD_BYTES)
        if not data:
            return b"", b""
        got += data
    head, _, rest = got.partition(b"\r\n\r\n")
    return head, rest


def _with_name(head: bytes, name: str | None) -> bytes:
    first, *lines = head.split(b"\r\n")
    is_web_socket = any(line.lower().startswith(b"upgrade:") for line in lines)
    dropped = (f"{HEADER.lower()}:".encode(), *(() if is_web_socket else (b"connection:",)))
    kept = [line for line in lines if not line.lower().startswith(dropped)]
    if not is_web_socket:
        # One request a connection, so that each gets its name.
        kept.append(b"Connection: close")
    if name is not None:
        kept.append(f"{HEADER}: {name}".encode())
    return b"\r\n".join([first, *kept]) + b"\r\n\r\n"


def _pass(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        # The other side has gone.
        return
