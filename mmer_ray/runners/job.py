"""One job, from sources to committed rows: what `mmer score` and the jobs for a cluster run."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from time import perf_counter

from mmer_ray.audio.decode import Decoder
from mmer_ray.errors import ErrorCode
from mmer_ray.lake.answers import Answers
from mmer_ray.lake.ledger import Ledger
from mmer_ray.lake.plan import Plan
from mmer_ray.lake.planner import plan_job
from mmer_ray.lake.queries import open_lake
from mmer_ray.lake.store import Lake
from mmer_ray.profiles import Profile
from mmer_ray.records import Restart
from mmer_ray.runner import Runner
from mmer_ray.runners.device_memory import require_memory
from mmer_ray.runners.driver import Driven
from mmer_ray.runners.durations import num_probers, probe_headers, with_durations
from mmer_ray.runners.estimate import Estimate, estimate
from mmer_ray.runners.preflight import isolation_warning, require_room
from mmer_ray.runners.tally import JobReport, OnProgress, Progress, Tally, Untried
from mmer_ray.runners.todo import OnHeard
from mmer_ray.runners.work import Work, answers_to, do, inactive_note, lost_counts, restarts_of, work_s
from mmer_ray.sources.listing import SourceListing, recordings_of
from mmer_ray.sources.sources import list_sources
from mmer_ray.stages.keys import keys_of
from mmer_ray.stages.preflight import preflight_models
from mmer_ray.transcripts.folder import TranscriptFolder

__all__ = ["Job", "JobOptions", "JobPlan", "JobReport", "Progress", "prepare", "run"]

MAX_NAMES = 5
"""So many of the transcripts without a recording are named."""
FAILURES = "SELECT error_code, count(*) AS num FROM recordings WHERE run_id = '{}' AND status = 'failed' GROUP BY 1"


@dataclass(frozen=True)
class JobOptions:
    """What the caller asks for. `profile.run.runner` says where it runs."""

    sources: tuple[str, ...]
    lake: str
    profile: Profile
    corpus: str = "default"
    roots: tuple[str, ...] = ()
    """Folders and `s3://` prefixes that manifests and links may lead to, besides each source's own folder."""
    limit: int | None = None
    """Score at most this many recordings, the longest first."""
    transcripts: str | None = None
    """A folder with transcripts (`NAME.json`) and turns (`NAME.rttm`) of recordings, which take a stage's place."""
    retried: frozenset[ErrorCode] = frozenset()
    """Recordings that failed with these codes are tried again, whatever the rules for waiting say."""


@dataclass(frozen=True)
class JobPlan:
    """What a job would do."""

    runner: Runner
    reason: str
    num_todo: int
    """Recordings to work on."""
    todo_s: float
    restarts: Mapping[Restart, int]
    """Where the work on them begins -> how many."""
    num_done: int
    done_s: float
    num_known_failures: int
    num_copies: int
    """Files whose bytes are known: a row each, no models."""
    estimate_s: tuple[float, float] | None
    """Low and high guess of the wall seconds; None with nothing to do."""
    untried: Untried = field(default_factory=Untried)
    warnings: tuple[str, ...] = ()
    """What does not stop a job and should be known, a line each."""


@dataclass(frozen=True)
class _Planned:
    """What there is to do, and where it would be done."""

    plan: Plan
    guess: Estimate
    warnings: tuple[str, ...] = ()


class Job:
    """A job whose arguments are in order."""

    def __init__(self, options: JobOptions, listing: SourceListing | None = None) -> None:
        """Look at the arguments; nothing is computed, written or started. `listing` takes the place of the sources.

        Raises `UsageError` for sources that are not there, `PreflightError` for missing models, with a line each, or
        space, `LakeError` for a lake that cannot be read.
        """
        self._profile, self._limit, self._retried = options.profile, options.limit, options.retried
        self._models = preflight_models(options.profile)
        self._keys = keys_of(options.profile)
        self._listing = listing or list_sources(options.sources, options.corpus, options.roots)
        self._given = TranscriptFolder(options.transcripts) if options.transcripts is not None else None
        self._lake = Lake(options.lake)
        require_room(self._lake)

    def plan(self) -> JobPlan:
        """Say what the job would do; writes nothing. Raises `PreflightError` where the models do not fit in memory."""
        planned = self._planned()
        plan, guess = planned.plan, planned.guess
        return JobPlan(
            runner=guess.runner,
            reason=guess.reason,
            num_todo=plan.todo.num_rows,
            todo_s=plan.todo_s,
            restarts=Counter(restarts_of(plan.todo)),
            num_done=plan.num_done,
            done_s=plan.done_ms / 1000,
            num_known_failures=plan.num_known_failures,
            num_copies=plan.num_copies,
            estimate_s=guess.wall_s if plan.todo.num_rows else None,
            untried=self._untried(plan),
            warnings=planned.warnings,
        )

    def run(self, on_progress: OnProgress | None = None, stop: threading.Event | None = None) -> JobReport:
        """Score what is not yet scored. Setting `stop` commits what is finished and ends.

        Raises `LakeError` when another process writes the lake, `PreflightError` when the runner cannot start,
        `StoreError` when the lake's store keeps failing, `SystematicFailureError` when recordings fail for one reason
        outside them, and `LedgerError` when the ledger does not sum. What was committed stays.
        """
        begun, stop = perf_counter(), stop or threading.Event()
        # A plan made while another job writes would score that job's recordings again.
        with self._lake.lock():
            planned = self._planned()
            tally = Tally(planned.plan.todo, on_progress, begun)
            if planned.plan.is_empty:
                return self._report(planned, tally, None, None)
            work = Work(planned.plan, self._profile, self._models, planned.guess.runner, self._given)
            run_id, driven = do(self._lake, work, tally, stop, self._answering)
        return self._report(planned, tally, run_id, driven)

    def _answering(
        self, lake: Lake, work: Work, stop: threading.Event, on_heard: OnHeard
    ) -> AbstractContextManager[Generator[Answers, None, None]]:
        """Start what answers; the benchmark of short clips puts its own in this place."""
        return answers_to(lake, work, stop, on_heard)

    def _planned(self) -> _Planned:
        profile = self._profile
        listed = self._listing.batches()
        if self._given is not None:
            listed = self._given.marked(listed)
        plan = plan_job(listed, self._lake, self._keys, profile.run, retried=self._retried)
        if self._limit is not None:
            plan = plan.limited(self._limit)
        warnings = [*self._unused_transcripts(), *lost_counts(plan)]
        warnings += [inactive_note(corpus, self._keys.scorer, self._lake) for corpus in plan.inactive_corpora]
        with Decoder(profile.decode, num_probers(plan.todo.num_rows)) as decoder:
            todo = with_durations(
                plan.todo,
                lambda rows: list(recordings_of(rows)),
                lambda recordings: probe_headers(recordings, decoder),
                profile.decode.max_file_bytes,
            )
            if any(restart != "link" for restart in restarts_of(todo)) and (warning := isolation_warning(decoder)):
                warnings.append(warning)
        plan = plan.with_todo(todo)
        guess = estimate(profile, plan.todo.num_rows, work_s(plan.todo))
        if any(restart != "link" for restart in restarts_of(todo)):
            require_memory(profile, self._models, guess.runner, plan.todo.num_rows)
        return _Planned(plan, guess, tuple(warnings))

    def _unused_transcripts(self) -> list[str]:
        names = self._given.without_recording if self._given is not None else []
        if not names:
            return []
        some = ", ".join(names[:MAX_NAMES]) + (", .." if len(names) > MAX_NAMES else "")
        return [f"{len(names)} files in the folder of transcripts belong to no recording of these sources: {some}"]

    def _report(self, planned: _Planned, tally: Tally, run_id: str | None, driven: Driven | None) -> JobReport:
        plan, ledger = planned.plan, driven.ledger if driven else Ledger()
        return JobReport(
            run_id=run_id,
            runner=planned.guess.runner,
            num_scored=ledger.num_scored,
            num_failed=ledger.num_failed,
            num_known_failures=plan.num_known_failures,
            num_skipped=plan.num_done + plan.num_known_failures,
            audio_s=ledger.scored_ms / 1000,
            computed_s=tally.computed_s,
            wall_s=tally.wall_s,
            first_result_s=tally.first_result_s,
            failures_by_code=self._failures(run_id) if ledger.num_failed else {},
            ledger=ledger,
            interrupted=driven is not None and driven.interrupted,
            untried=self._untried(plan),
            warnings=planned.warnings,
        )

    def _untried(self, plan: Plan) -> Untried:
        return Untried(
            left_out=self._listing.left_out,
            examples=self._listing.left_out_examples,
            num_repeated=plan.num_repeated,
            repeated_example=plan.repeated_example,
        )

    def _failures(self, run_id: str | None) -> dict[str, int]:
        """Error code -> rows of a run, with those of equal bytes, as the lake has them."""
        with open_lake(self._lake.address) as reader:
            rows = reader.sql(FAILURES.format(run_id)).to_pylist()
        return {row["error_code"]: row["num"] for row in rows}


def prepare(options: JobOptions) -> JobPlan:
    """Say what a job would do; raises as `Job`."""
    return Job(options).plan()


def run(
    options: JobOptions, *, on_progress: OnProgress | None = None, stop: threading.Event | None = None
) -> JobReport:
    """Do a job; raises as `Job` and `Job.run`."""
    return Job(options).run(on_progress, stop)
