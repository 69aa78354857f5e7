"""Who may write a lake: the holder of a lock on a local disk, of a lease on an object store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from mmer_ray.lake.lease import LEASE_S, is_leased, leased
from mmer_ray.lake.lock import is_locked, only_writer
from mmer_ray.sources.uris import is_remote


class Writing(Protocol):
    """The right to write, as long as it lasts."""

    @property
    def fencing(self) -> int:
        """Greater than that of every writer before; 0 where the kernel keeps others away."""

    @property
    def took_over(self) -> bool:
        """Whether the writer before ended without saying so, and may still have requests under way."""

    def check(self) -> None:
        """Raise `LakeError` once the right is lost, `StoreError` where nobody can tell."""


class _Locked:
    """The right that the kernel gives: it lasts until the process ends."""

    fencing = 0
    took_over = False

    def check(self) -> None:
        return


@contextmanager
def exclusive(address: str, lease_s: float = LEASE_S) -> Iterator[Writing]:
    """Be the one writer of the lake at this address, a folder, which is made, or an `s3://` prefix. Raises `LakeError`
    while anybody else is; `PreflightError` for a store that cannot be written."""
    if is_remote(address):
        with leased(address, lease_s) as lease:
            yield lease
        return
    Path(address).mkdir(parents=True, exist_ok=True)
    with only_writer(Path(address).resolve()):
        yield _Locked()


class WriteAccess:
    """One object's right to write a lake, which it may ask for again while it has it."""

    def __init__(self, address: str, lease_s: float) -> None:
        self._address, self._lease_s = address, lease_s
        self._depth = 0
        self._writing: Writing | None = None

    @property
    def fencing(self) -> int:
        """`Writing.fencing`; 0 without the right."""
        return 0 if self._writing is None else self._writing.fencing

    @property
    def is_held(self) -> bool:
        return self._depth > 0

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Have the right. Gives whether the writer before may still have requests under way. Raises as `exclusive`."""
        with ExitStack() as stack:
            took_over = False
            if self._depth == 0:
                self._writing = stack.enter_context(exclusive(self._address, self._lease_s))
                stack.callback(setattr, self, "_writing", None)
                took_over = self._writing.took_over
            self._depth += 1
            stack.callback(self._leave)
            yield took_over

    def _leave(self) -> None:
        self._depth -= 1

    def require(self) -> None:
        """Return while the right lasts; folders may be written without. Raises as `Writing.check`."""
        assert self._writing is not None or not is_remote(self._address), f"{self._address}: changed outside of lock()"
        if self._writing is not None:
            self._writing.check()


def may_be_written(address: str) -> bool:
    """Say whether a process may be writing the lake now. Writes nothing."""
    return is_leased(address.rstrip("/")) if is_remote(address) else is_locked(Path(address.removeprefix("file://")))
