"""A kill inside the test's own process: a step ends at a failpoint, and nothing that comes after reaches the lake."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from deltalake import DeltaTable

from mmer_ray.lake import failpoint
from mmer_ray.lake.store import Lake


class KilledError(BaseException):
    """In place of the end of the process. No handler of ours catches it."""


@dataclass
class Kill:
    """Whether the failpoint was reached."""

    happened: bool = False


@contextmanager
def killed_at(point: str | None) -> Iterator[Kill]:
    """Run what is inside to the failpoint `point`, as `MMER_FAILPOINT` has it; None: to its end.

    Code that runs while the stack unwinds finds no table to write to. The lock of the lake is let go, as the kernel
    lets it go.
    """
    kill, newest = Kill(), Lake.newest

    def end(_: int) -> None:
        kill.happened = True
        raise KilledError(point)

    def reachable(lake: Lake, name: str) -> DeltaTable:
        if kill.happened:
            raise KilledError(point)
        return newest(lake, name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(failpoint, "_passed", Counter())
        patch.setattr(os, "_exit", end)
        patch.setattr(Lake, "newest", reachable)
        patch.setenv(failpoint.VARIABLE, point or "")
        try:
            yield kill
        except KilledError:
            assert kill.happened
