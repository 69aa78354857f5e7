"""A server on loopback that speaks S3, in a process of its own: some calls of deltalake wait for the store with the
interpreter's lock held, and no thread beside them could answer."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection


@contextmanager
def s3_serving() -> Iterator[str]:
    """Serve; gives the address."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    server = spawn.Process(target=_serve, args=(theirs,), daemon=True)
    server.start()
    yield ours.recv()
    server.kill()
    server.join()


def _serve(pipe: Connection) -> None:
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    pipe.send(f"http://{host}:{port}")
    pipe.recv()
