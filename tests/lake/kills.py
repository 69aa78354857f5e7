"""A kill inside the test's own process: a step ends at a failpoint, and nothing that comes after reaches the lake."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from deltalake import DeltaTable

from mmer_ray import failpoint
from mmer_ray.lake.store import Lake
from mmer_ray.tables import DATA_TABLES

COMMIT_POINTS = [f"{side}_append_{name}" for name in (*DATA_TABLES, "commits") for side in ("before", "after")]
"""The failpoints that every commit passes, in their order."""


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


def num_visible(point: str | None, num_commits: int) -> int:
    """Commits of a killed job that readers see: those that were listed before the kill."""
    name, _, nth = (point or "").partition(":")
    if name == "before_run_end":
        return num_commits
    if name == "after_run_start":
        return 0
    return int(nth) - (name != "after_append_commits")


def is_visible(point: str | None) -> bool:
    """Whether readers see a single commit that was killed there, if anywhere."""
    return point in (None, "after_append_commits")
