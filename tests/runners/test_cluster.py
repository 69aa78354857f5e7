"""Connecting to Ray: refusals come within seconds and name the remedy. Nothing here starts Ray."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import pytest

from mmer_ray.errors import PreflightError
from mmer_ray.runners import cluster
from mmer_ray.runners.cluster import LOCAL, StoppedError


def test_an_empty_address_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", " ")
    assert cluster._address() == LOCAL
    monkeypatch.delenv("RAY_ADDRESS")
    assert cluster._address() == LOCAL


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_a_dead_address_is_refused_by_name_with_the_remedy(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: nobody answers there
        address = f"{scheme}127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(PreflightError, match=f"no Ray cluster answers at {address}.*--runner inprocess"):
            cluster._address()


@pytest.mark.parametrize("address", ["head", "head:port", "ray://", ":6379", "[::1"])
def test_what_is_no_address_is_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(PreflightError, match="no address like host:6379"):
        cluster._address()


def test_auto_without_a_cluster_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray._private import services

    def nothing(_: str) -> str:
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr(services, "canonicalize_bootstrap_address", nothing)
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    with pytest.raises(PreflightError, match=r"no Ray cluster runs on this machine.*--runner inprocess"):
        cluster._address()


def starting(monkeypatch: pytest.MonkeyPatch, *starts: Callable[[], None]) -> list[str]:
    """Let Ray's starts go as told; returns what happens."""
    log: list[str] = []
    left = list(starts)

    def start(address: str, *, store_bytes: int) -> Callable[[], None]:
        log.append(f"start {address} in {threading.current_thread().name}")
        left.pop(0)()
        return lambda: log.append("shutdown")

    monkeypatch.setattr(cluster, "_start", start)
    monkeypatch.setattr(cluster, "STOP_CHECK_S", 0.01)
    return log


def fail() -> None:
    raise RuntimeError("The current node timed out during startup.")


def succeed() -> None:
    return None


def test_a_local_start_that_times_out_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    log = starting(monkeypatch, fail, succeed)
    cluster._connected(LOCAL, threading.Event()).close()
    assert log == ["start local in ray", "start local in ray", "shutdown"]


def test_a_start_that_keeps_failing_is_a_preflight_error_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    starting(monkeypatch, fail, fail)
    with pytest.raises(PreflightError, match=r"Ray did not start.*timed out during startup.*--runner inprocess"):
        cluster._connected(LOCAL, threading.Event())


def test_a_cluster_that_accepts_but_never_answers_is_refused_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    starting(monkeypatch, lambda: bool(ended.wait()) and None)
    monkeypatch.setattr(cluster, "CONNECT_S", 0.1)
    with pytest.raises(PreflightError, match=r"did not connect to head:6379.*in time"):
        cluster._connected("head:6379", threading.Event())
    ended.set()


def test_a_signal_during_rays_start_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    ended, stop = threading.Event(), threading.Event()
    starting(monkeypatch, lambda: bool(ended.wait()) and None)
    threading.Timer(0.05, stop.set).start()
    began = time.monotonic()
    with pytest.raises(StoppedError):
        cluster._connected(LOCAL, stop)
    assert time.monotonic() - began < cluster.START_S
    ended.set()
