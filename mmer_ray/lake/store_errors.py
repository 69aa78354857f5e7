"""What the store of a lake raises, in our words."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from mmer_ray.errors import LakeError, MmerError, StoreError
from mmer_ray.sources.s3 import failures
from mmer_ray.sources.uris import is_remote

MAX_REASON_CHARS = 300
WAITS_S = (0.2, 1.0, 3.0)
"""Before a change is tried again. What is away for longer is the caller's matter."""

Answer = TypeVar("Answer")


def damaged(address: str, what: str) -> LakeError:
    """A lake that lacks something that its own records name."""
    return LakeError(f"the lake {address} is damaged: {what}; restore it from a copy")


@contextmanager
def reading(place: str) -> Iterator[None]:
    """Raise `LakeError` for what goes wrong while a table is read: on a disk it is damaged, a bucket may be away."""
    try:
        yield
    except _failures(place) as exc:
        if is_remote(place):
            remedy = "check the address, the network and the credentials; if they are in order, the lake is damaged"
            raise LakeError(f"{place} cannot be read: {_first_line(exc)}; {remedy}") from exc
        raise damaged(place, _first_line(exc)) from exc


@contextmanager
def writing(address: str) -> Iterator[None]:
    """Raise `StoreError`, which may pass, for what goes wrong while a table is written."""
    try:
        yield
    except _failures(address) as exc:
        raise StoreError(f"the lake {address} cannot be written: {_first_line(exc)}") from exc


def _failures(place: str) -> tuple[type[Exception], ...]:
    from deltalake.exceptions import DeltaError

    return (DeltaError, *(failures() if is_remote(place) else (OSError,)))


def patiently(work: Callable[[], Answer], error: type[MmerError] = StoreError) -> Answer:
    """What `work` returns, tried again after such an error.

    deltalake gives up a conditional PUT whose answer got lost, since it cannot tell whether it was done (`work` looks
    into the log first), and an answer whose body broke off.
    """
    for wait_s in WAITS_S:
        try:
            return work()
        except error:
            time.sleep(wait_s)
    return work()


def _first_line(exc: BaseException) -> str:
    return (str(exc).splitlines() or [type(exc).__name__])[0][:MAX_REASON_CHARS]
