"""The connection to Ray: a cluster at `RAY_ADDRESS`, else a private one on this machine, or an error within seconds."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from mmer_ray.errors import MmerError, PreflightError

ADDRESS_VARIABLE = "RAY_ADDRESS"
LOCAL = "local"
"""Ray's word for a private cluster: never joins somebody else's that happens to run on this host."""
OBJECT_STORE_BYTES = 256 << 20
"""Only addresses and results cross the store of a cluster that we start ourselves; Ray would take 30 % of memory."""

PROBE_S = 5.0
"""Longest wait for a TCP connection to a cluster's head."""
CONNECT_S = 60.0
"""Longest wait for Ray once its head's port has answered."""
START_S = 120.0
"""Longest wait for a cluster on this machine: 3 s on a quiet one, and Ray itself gives up a start after some 30 s."""
NUM_STARTS = 2
"""A start of Ray's that ends in a time-out on a busy machine mostly succeeds when tried again."""
STOP_CHECK_S = 0.2
SHUTDOWN_S = 20.0
"""Longest wait for Ray's end; its processes end with ours in any case."""

REMEDY = "start it, or name another in RAY_ADDRESS; a job also runs with --runner inprocess"
QUIET = {
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # else the lines of dead workers go to stdout, among our own output
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # else its C++ code warns on stderr of what Ray Data does with our actors
    "RAY_DATA_LOG_LEVEL": "WARNING",  # its plan and its progress are ours to report; what goes wrong still shows
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Ray's own settings, read when it is imported or started. What a user has set stays."""
LOG_LEVELS = {
    "ray._private.worker": logging.ERROR,  # that SIGTERM stays ours
    "ray._private.authentication.authentication_token_setup": logging.ERROR,  # that a private cluster has a token
    "ray.data._internal.progress": logging.ERROR,  # that its progress bars are off
}


class StoppedError(MmerError):
    """Somebody asked to stop while Ray was being started."""


def keep_ray_quiet() -> None:
    """Keep Ray's own lines out of our output; to be called before it is imported."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"ray\..*")
    for name, level in LOG_LEVELS.items():
        logging.getLogger(name).setLevel(level)


@contextmanager
def cluster(stop: threading.Event | None = None, *, store_bytes: int = OBJECT_STORE_BYTES) -> Iterator[None]:
    """A Ray connection: the one that exists, else the cluster at `RAY_ADDRESS`, else a private local one with an object
    store of `store_bytes`.

    Raises `PreflightError` where none can be had, `StoppedError` once `stop` is set.
    """
    keep_ray_quiet()
    import ray

    if ray.is_initialized():
        yield
        return
    connection = _connected(_address(), stop or threading.Event(), store_bytes)
    _take_back_sigterm()
    try:
        yield
    finally:
        connection.close()


def _take_back_sigterm() -> None:
    """Put Python's handler of SIGTERM back in its place.

    Ray's start leaves one that calls ours too, and aborts the process some seconds later, in the midst of its end.
    """
    handler = signal.getsignal(signal.SIGTERM)
    # Only the main thread may, and a handler that is not Python's is somebody else's.
    if handler is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def _address() -> str:
    """Where to connect to, checked. An empty `RAY_ADDRESS` is none."""
    wanted = os.environ.get(ADDRESS_VARIABLE, "").strip() or LOCAL
    if wanted == LOCAL:
        return LOCAL
    address = _running_address() if wanted == "auto" else wanted
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not port:
        raise PreflightError(f"{ADDRESS_VARIABLE}={wanted} is no address like host:6379 or ray://host:10001; {REMEDY}")
    try:
        socket.create_connection((host, port), PROBE_S).close()
    except OSError as error:
        raise PreflightError(f"no Ray cluster answers at {address} ({ADDRESS_VARIABLE}): {error}; {REMEDY}") from error
    return address


def _running_address() -> str:
    """The head that `auto` means. Ray would wait minutes for one that a dead cluster's file names."""
    from ray._private.services import canonicalize_bootstrap_address

    try:
        found: str | None = canonicalize_bootstrap_address("auto")
    except ConnectionError:
        found = None
    if found is None:
        raise PreflightError(f"{ADDRESS_VARIABLE}=auto, but no Ray cluster runs on this machine; {REMEDY}")
    return found


def _connected(address: str, stop: threading.Event, store_bytes: int = OBJECT_STORE_BYTES) -> _Connection:
    is_local = address == LOCAL
    error: BaseException | None = None
    for _ in range(NUM_STARTS if is_local else 1):
        connection = _Connection(address, partial(_start, store_bytes=store_bytes))
        if connection.is_ready(START_S if is_local else CONNECT_S, stop):
            return connection
        if stop.is_set():
            raise StoppedError("stopped while Ray was being started")
        error = connection.error
        connection.close()
    what = "Ray did not start on this machine" if is_local else f"Ray did not connect to {address} ({ADDRESS_VARIABLE})"
    why = f": {error}" if error else " in time"
    raise PreflightError(f"{what}{why}; {'a job also runs with --runner inprocess' if is_local else REMEDY}") from error


def _start(address: str, *, store_bytes: int) -> Callable[[], None]:
    """Connect; returns what ends the connection."""
    import ray

    ray.init(
        address=address,
        logging_level=logging.ERROR,
        log_to_driver=False,
        include_dashboard=False if address == LOCAL else None,
        object_store_memory=store_bytes if address == LOCAL else None,
    )
    return ray.shutdown


@dataclass
class _Ended:
    """How a start went."""

    shutdown: Callable[[], None] | None = None
    error: BaseException | None = None


class _Connection:
    """Ray in a thread of its own, from start to shutdown.

    Ray's start and its C code cannot be interrupted; the caller's thread stays free to notice a signal. The processes
    of a local cluster ask the kernel to die with the thread that started them, so it lives until the end.
    """

    def __init__(self, address: str, start: Callable[[str], Callable[[], None]]) -> None:
        self._result = _Ended()
        self._started, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._live, args=(address, start), name="ray", daemon=True)
        self._thread.start()

    @property
    def error(self) -> BaseException | None:
        return self._result.error

    def is_ready(self, timeout_s: float, stop: threading.Event) -> bool:
        """Wait for the start; False when it failed, took longer, or `stop` was set."""
        for _ in range(max(1, round(timeout_s / STOP_CHECK_S))):
            if self._started.wait(STOP_CHECK_S):
                return self._result.error is None
            if stop.is_set():
                return False
        return False

    def close(self) -> None:
        """End the connection, and with it a local cluster."""
        self._closing.set()
        self._thread.join(SHUTDOWN_S if self._started.is_set() else STOP_CHECK_S)

    def _live(self, address: str, start: Callable[[str], Callable[[], None]]) -> None:
        try:
            self._result.shutdown = start(address)
        except BaseException as error:
            # Told by `is_ready`: in this thread nobody would see it.
            self._result.error = error
        self._started.set()
        self._closing.wait()
        if self._result.shutdown is not None:
            self._result.shutdown()
