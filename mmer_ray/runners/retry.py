"""Failed recordings tried again now, without their sources: what `mmer retry` runs."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from mmer_ray.errors import RETRYABLE, ErrorCode
from mmer_ray.lake.failures import BATCH_ROWS, FailedGroup, Place, failed_groups
from mmer_ray.lake.store import Lake
from mmer_ray.profiles import Profile, with_settings
from mmer_ray.runner import Runner
from mmer_ray.runners.job import Job, JobOptions, JobReport
from mmer_ray.runners.tally import OnProgress
from mmer_ray.sources.listing import LeftOut, SourceListing
from mmer_ray.sources.sources import list_sources


@dataclass(frozen=True)
class RetryOptions:
    """What the caller asks for."""

    lake: str
    codes: frozenset[ErrorCode] = frozenset()
    """Empty: every code that may pass (`errors.RETRYABLE`)."""
    sources: tuple[str, ...] = ()
    """Bounds the recordings to those that these hold; empty: the whole lake."""
    corpus: str | None = None
    profile: Profile | None = None
    """In place of the one under which a recording failed."""
    settings: tuple[str, ...] = ()
    runner: Runner = Runner.AUTO
    roots: tuple[str, ...] = ()
    limit: int | None = None


@dataclass(frozen=True)
class RetryReport:
    """What was tried again."""

    run_ids: tuple[str, ...] = ()
    num_scored: int = 0
    num_failed: int = 0
    failures_by_code: Mapping[str, int] = field(default_factory=dict)
    left: Mapping[str, str] = field(default_factory=dict)
    """Uri -> why a recording cannot be tried from here."""
    audio_s: float = 0.0
    wall_s: float = 0.0
    interrupted: bool = False
    warnings: tuple[str, ...] = ()


def run(
    options: RetryOptions, *, on_progress: OnProgress | None = None, stop: threading.Event | None = None
) -> RetryReport:
    """Try again what failed, a job for each profile that it failed under; raises as `job.Job` and `Job.run`."""
    stop = stop or threading.Event()
    lake = Lake(options.lake)
    lake.require_existing()
    among = _among(options) if options.sources else None
    groups, left = failed_groups(lake, options.codes, options.corpus, among, options.profile, options.roots)
    reports: list[JobReport] = []
    room = options.limit
    for group in groups:
        if stop.is_set() or room == 0:
            break
        reports.append(_job(options, group, room).run(on_progress, stop))
        room = None if room is None else max(0, room - reports[-1].num_scored - reports[-1].num_failed)
    codes: Counter[str] = Counter()
    for report in reports:
        codes.update(report.failures_by_code)
    return RetryReport(
        run_ids=tuple(report.run_id for report in reports if report.run_id is not None),
        num_scored=sum(report.num_scored for report in reports),
        num_failed=sum(report.num_failed for report in reports),
        failures_by_code=dict(codes),
        left=left,
        audio_s=sum(report.audio_s for report in reports),
        wall_s=sum(report.wall_s for report in reports),
        interrupted=stop.is_set() and (len(reports) < len(groups) or any(one.interrupted for one in reports)),
        warnings=tuple(dict.fromkeys(warning for report in reports for warning in report.warnings)),
    )


def _job(options: RetryOptions, group: FailedGroup, room: int | None) -> Job:
    runner = options.runner
    if runner == Runner.AUTO and group.killed_workers:
        # In process, one that kills its worker again would end this command.
        runner = Runner.RAY
    profile = with_settings(group.profile, options.settings)
    if runner != Runner.AUTO:
        profile = profile.model_copy(update={"run": profile.run.model_copy(update={"runner": runner})})
    asked = JobOptions((), options.lake, profile, limit=room, retried=options.codes or RETRYABLE)
    return Job(asked, SourceListing(lambda left_out: _batches(group, left_out)))


def _batches(group: FailedGroup, _: LeftOut) -> Iterator[pa.RecordBatch]:
    yield from group.listed.to_batches(max_chunksize=BATCH_ROWS)


def _among(options: RetryOptions) -> dict[str, Place]:
    """The uris of the sources' recordings, as they are listed now."""
    names = ("uri", "root", "size_bytes", "modified")
    listing = list_sources(options.sources, options.corpus or "default", options.roots)
    return {
        uri: Place(root, size_bytes, modified)
        for batch in listing.batches()
        for uri, root, size_bytes, modified in zip(*(batch.column(name).to_pylist() for name in names), strict=True)
    }
