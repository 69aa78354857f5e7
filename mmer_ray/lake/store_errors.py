"""What the store of a lake raises, in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mmer_ray.errors import LakeError, StoreError

MAX_REASON_CHARS = 300


def damaged(address: str, what: str) -> LakeError:
    """A lake that lacks something that its own records name."""
    return LakeError(f"the lake {address} is damaged: {what}; restore it from a copy")


@contextmanager
def reading(place: str) -> Iterator[None]:
    """Raise `LakeError` for what goes wrong while a table is read: on a disk it is damaged, a bucket may be away."""
    from deltalake.exceptions import DeltaError

    try:
        yield
    except (DeltaError, OSError) as exc:
        if "://" in place:
            remedy = "check the address, the network and the credentials; if they are in order, the lake is damaged"
            raise LakeError(f"{place} cannot be read: {_first_line(exc)}; {remedy}") from exc
        raise damaged(place, _first_line(exc)) from exc


@contextmanager
def writing(address: str) -> Iterator[None]:
    """Raise `StoreError`, which may pass, for what goes wrong while a table is written."""
    from deltalake.exceptions import DeltaError

    try:
        yield
    except (DeltaError, OSError) as exc:
        raise StoreError(f"the lake {address} cannot be written: {_first_line(exc)}") from exc


def _first_line(exc: BaseException) -> str:
    return (str(exc).splitlines() or [type(exc).__name__])[0][:MAX_REASON_CHARS]
