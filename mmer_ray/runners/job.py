"""One job, from sources to committed rows: what `mmer score` and the jobs for a cluster run."""

from __future__ import annotations

import os
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Literal

from mmer_ray.audio.decode import Decoder
from mmer_ray.errors import PreflightError
from mmer_ray.lake.ledger import Ledger
from mmer_ray.lake.plan import Plan
from mmer_ray.lake.plan import plan as compare
from mmer_ray.lake.run import begin_run
from mmer_ray.lake.store import Lake
from mmer_ray.lake.writer import Writer
from mmer_ray.listing import SourceListing, recordings_of
from mmer_ray.profiles import Profile
from mmer_ray.records import Recording, ScoredRecording
from mmer_ray.runners.estimate import estimate, with_durations
from mmer_ray.stages.fingerprints import fingerprints, model_digests
from mmer_ray.storage import list_sources

MIN_FREE_BYTES = 200 << 20
"""An hour of speech leaves about 2 MB in the lake; a disk with less than this is about to fail the job."""

MAX_PROBING_CHILDREN = min(8, os.cpu_count() or 1)
"""Headers are read side by side: on a network file system or in a bucket each one takes its round trips."""
PROBES_PER_CHILD = 100
"""Starting a child takes as long as reading the headers of so many local files."""


@dataclass(frozen=True)
class JobOptions:
    """What the caller asks for."""

    sources: tuple[str, ...]
    lake: str
    profile: Profile
    corpus: str = "default"
    roots: tuple[str, ...] = ()
    """Folders and `s3://` prefixes that manifests and links may lead to, besides each source's own folder."""
    runner: Literal["auto", "inprocess", "ray"] = "auto"
    limit: int | None = None
    """Score at most this many recordings, the longest first."""


@dataclass(frozen=True)
class Untried:
    """What the sources hold or name and the job does not try."""

    left_out: Mapping[str, int] = field(default_factory=dict)
    """File ending, or reason in parentheses -> number of names."""
    examples: Mapping[str, str] = field(default_factory=dict)
    """The first name for each key of `left_out`."""
    num_repeated: int = 0
    """Recordings that the sources name again; each is scored once."""
    repeated_example: str | None = None


@dataclass(frozen=True)
class JobPlan:
    """What a job would do."""

    runner: str
    reason: str
    todo: tuple[Recording, ...]
    num_done: int
    num_known_failures: int
    num_aliases: int
    """Files whose bytes are known: a row each, no models."""
    todo_s: float
    done_s: float
    estimate_s: tuple[float, float] | None
    """Low and high guess of the wall seconds; None with nothing to do."""
    untried: Untried = field(default_factory=Untried)


@dataclass(frozen=True)
class Progress:
    """How far a job is."""

    done_s: float
    total_s: float
    num_done: int
    num_total: int
    num_failed: int
    message: str | None = None


@dataclass(frozen=True)
class JobReport:
    """What a job did."""

    run_id: str | None
    """None when there was nothing to do."""
    runner: str
    num_scored: int = 0
    num_failed: int = 0
    num_skipped: int = 0
    num_known_failures: int = 0
    """Recordings of these sources, among the skipped ones, that failed before and are not tried again."""
    audio_s: float = 0.0
    """Seconds of audio that the models worked on: copies, which `num_scored` counts, add nothing."""
    wall_s: float = 0.0
    first_result_s: float | None = None
    failures_by_code: Mapping[str, int] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)
    interrupted: bool = False
    untried: Untried = field(default_factory=Untried)


@dataclass(frozen=True)
class _Asked:
    """A job whose arguments are in order."""

    lake: Lake
    profile: Profile
    fingerprints: Mapping[str, str]
    listing: SourceListing
    limit: int | None


@dataclass(frozen=True)
class _Prepared:
    """A job ready to start."""

    lake: Lake
    profile: Profile
    plan: Plan
    fingerprints: Mapping[str, str]
    summary: JobPlan


def prepare(options: JobOptions) -> JobPlan:
    """Say what the job would do; writes nothing.

    Raises `UsageError` for sources that are not there, `PreflightError` for missing models or space, `LakeError` for a
    lake that cannot be read.
    """
    return _prepare(_ask(options)).summary


def run(
    options: JobOptions,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
) -> JobReport:
    """Score what is not yet scored. Setting `stop` commits what is finished and ends.

    Raises as `prepare` does, `LakeError` when another process writes the lake, and `LedgerError` when the
    ledger does not sum.
    """
    begun = perf_counter()
    asked = _ask(options)
    # A plan made while another job writes would score that job's recordings again.
    with asked.lake.lock():
        prepared = _prepare(asked)
        tally = _Tally(prepared, on_progress or (lambda _: None), begun)
        if not prepared.plan.planned:
            return tally.report(None, Ledger(), interrupted=False)
        return _run(prepared, tally, stop or threading.Event())


def _run(prepared: _Prepared, tally: _Tally, stop: threading.Event) -> JobReport:
    profile = prepared.profile
    this_run = begin_run(profile, prepared.fingerprints, model_digests(profile))
    with Writer(prepared.lake, this_run, prepared.plan, profile.run) as writer:
        with closing(_score(prepared, stop)) as answers:
            for scored in answers:
                if writer.add(scored):
                    tally.add(scored)
                if writer.due():
                    writer.commit()
                if stop.is_set():
                    break
        interrupted = stop.is_set() and tally.num_answers < len(prepared.plan.todo)
        ledger = writer.interrupt() if interrupted else writer.finish()
    return tally.report(this_run.run_id, ledger, interrupted)


def _ask(options: JobOptions) -> _Asked:
    profile = options.profile
    if options.runner != "auto":
        profile = profile.model_copy(update={"run": profile.run.model_copy(update={"runner": options.runner})})
    prints = fingerprints(profile)
    listing = list_sources(options.sources, options.corpus, options.roots)
    lake = Lake(options.lake)
    _check_space(lake)
    return _Asked(lake, profile, prints, listing, options.limit)


def _prepare(asked: _Asked) -> _Prepared:
    lake, profile, listing = asked.lake, asked.profile, asked.listing
    recordings = [recording for batch in listing.batches() for recording in recordings_of(batch)]
    plan = compare(recordings, lake, asked.fingerprints)
    if asked.limit is not None:
        plan = plan.limited(asked.limit)
    num_children = min(MAX_PROBING_CHILDREN, 1 + len(plan.todo) // PROBES_PER_CHILD)
    with Decoder(profile.decode, num_children) as decoder:
        plan = replace(plan, todo=with_durations(plan.todo, decoder, profile.decode.max_file_bytes, num_children))
    guess = estimate(profile, len(plan.todo), plan.todo_s)
    summary = JobPlan(
        runner=guess.runner,
        reason=guess.reason,
        todo=plan.todo,
        num_done=len(plan.done),
        num_known_failures=len(plan.known_failures),
        num_aliases=len(plan.copies),
        todo_s=plan.todo_s,
        done_s=plan.done_s,
        estimate_s=guess.wall_s if plan.todo else None,
        untried=Untried(
            left_out=listing.left_out,
            examples=listing.left_out_examples,
            num_repeated=len(plan.repeated),
            repeated_example=plan.repeated[0].uri if plan.repeated else None,
        ),
    )
    return _Prepared(lake, profile, plan, asked.fingerprints, summary)


def _check_space(lake: Lake) -> None:
    if not lake.is_local:
        return
    folder = Path(lake.address)
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free_bytes = shutil.disk_usage(existing).free
    if free_bytes < MIN_FREE_BYTES:
        have = f"{existing} has {free_bytes >> 20} MB free, a lake needs {MIN_FREE_BYTES >> 20} MB"
        raise PreflightError(f"{have}; free some or name another folder")


def _score(prepared: _Prepared, stop: threading.Event) -> Generator[ScoredRecording, None, None]:
    profile = prepared.profile
    # Each door is imported when it is taken: a small job never pays for Ray.
    if prepared.summary.runner == "ray":
        from mmer_ray.runners import batch

        return batch.score(prepared.plan.todo, profile, prepared.lake.key, stop)
    from mmer_ray.runners import inprocess

    return inprocess.score(prepared.plan.todo, profile, prepared.lake.key, stop)


class _Tally:
    """Counts what comes in, and tells the caller."""

    def __init__(self, prepared: _Prepared, on_progress: Callable[[Progress], None], begun: float) -> None:
        self._prepared, self._on_progress, self._begun = prepared, on_progress, begun
        self._status: Counter[str] = Counter()
        self._codes: Counter[str] = Counter()
        self._audio_s = self._done_s = 0.0
        self._first_result_s: float | None = None
        self._tell(None)

    @property
    def num_answers(self) -> int:
        return self._status.total()

    def add(self, scored: ScoredRecording) -> None:
        """Count one recording's answer."""
        if self._first_result_s is None:
            self._first_result_s = perf_counter() - self._begun
        self._status[scored.status] += 1
        self._done_s += scored.recording.planned_s
        self._audio_s += scored.audio.duration_s if scored.audio and scored.status == "scored" else 0.0
        message = None
        if scored.failure is not None:
            self._codes[scored.failure.code] += 1
            message = f"{scored.recording.uri}: {scored.failure.code}: {scored.failure.message}"
        self._tell(message)

    def report(self, run_id: str | None, ledger: Ledger, interrupted: bool) -> JobReport:
        plan = self._prepared.plan
        return JobReport(
            run_id=run_id,
            runner=self._prepared.summary.runner,
            num_scored=self._status["scored"] + ledger.num_copied,
            num_failed=self._status["failed"],
            num_skipped=len(plan.done) + len(plan.known_failures),
            num_known_failures=len(plan.known_failures),
            audio_s=self._audio_s,
            wall_s=perf_counter() - self._begun,
            first_result_s=self._first_result_s,
            failures_by_code=dict(self._codes),
            ledger=ledger,
            interrupted=interrupted,
            untried=self._prepared.summary.untried,
        )

    def _tell(self, message: str | None) -> None:
        todo = self._prepared.plan.todo
        total_s = self._prepared.summary.todo_s
        self._on_progress(Progress(self._done_s, total_s, self.num_answers, len(todo), self._status["failed"], message))
