"""A job that dies at a named point of its way: the drill's target, run in a process of its own."""

from __future__ import annotations

import os
from pathlib import Path

from mmer_ray.errors import ErrorCode
from mmer_ray.failpoint import VARIABLE
from mmer_ray.lake.compaction import compact
from mmer_ray.lake.lease import LEASE_S
from mmer_ray.lake.ledger import Ledger
from mmer_ray.lake.rewrite import forget_earlier
from mmer_ray.lake.store import Lake
from mmer_ray.lake.vacuum import vacuum
from tests.lake.makers import job, listing

FAILING = {"c.wav": ErrorCode.EMPTY_FILE, "e.wav": ErrorCode.IO_ERROR}
"""`c.wav` is empty; `e.wav` could not be read this time and is tried in every run."""


def run_job(lake: str | Path, audio: Path, lease_s: float = LEASE_S) -> Ledger:
    """Score a folder, with a commit after every second recording."""
    return job(Lake(lake, lease_s=lease_s), listing(audio), failing=FAILING, recordings_per_commit=2)[1]


def die_at(point: str, lake: str | Path, audio: Path, lease_s: float = LEASE_S) -> None:
    """The same job with a failpoint set; returning from here fails the drill."""
    os.environ[VARIABLE] = point
    run_job(lake, audio, lease_s)


def compact_until(point: str, lake: Path) -> None:
    """A compaction with a failpoint set."""
    os.environ[VARIABLE] = point
    compact(Lake(lake))


def vacuum_until(point: str, lake: Path) -> None:
    """A vacuum that keeps nothing, with a failpoint set."""
    os.environ[VARIABLE] = point
    vacuum(Lake(lake), 0)


def forget_until(point: str, lake: Path) -> None:
    """A table's earlier versions forgotten, with a failpoint set."""
    os.environ[VARIABLE] = point
    forget_earlier(Lake(lake), "utterances")
