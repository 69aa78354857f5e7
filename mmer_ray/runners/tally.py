"""What a job counts while answers come in, and what it reports in the end."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter

import pyarrow as pa

from mmer_ray.lake.ledger import Ledger
from mmer_ray.lake.plan import planned_ms
from mmer_ray.records import Recording
from mmer_ray.runner import Runner

COUNTED = ["corpus", "uri", "status", "error_code", "message", "duration_ms"]


@dataclass(frozen=True)
class Progress:
    """How far a job is."""

    done_s: float
    """Seconds of audio that are finished, and of unfinished recordings those that were heard, where that is known."""
    total_s: float
    num_done: int
    num_total: int
    num_failed: int
    message: str | None = None


OnProgress = Callable[[Progress], None]


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
class JobReport:
    """What a job did."""

    run_id: str | None
    """None when there was nothing to do."""
    runner: Runner
    num_scored: int = 0
    """Copies of known audio among them."""
    num_failed: int = 0
    """Copies of failed audio among them."""
    num_skipped: int = 0
    """Recordings of the job's sources that were scored or failed before, and need nothing."""
    num_known_failures: int = 0
    """Those among the skipped that failed: the exit code speaks of all the job's sources."""
    num_erased: int = 0
    """Files that were erased, or whose audio was, as their names or their bytes told: nothing of them is kept."""
    audio_s: float = 0.0
    """Seconds of the recordings that were scored, copies among them."""
    computed_s: float = 0.0
    """Seconds of those that models worked on."""
    wall_s: float = 0.0
    first_result_s: float | None = None
    failures_by_code: Mapping[str, int] = field(default_factory=dict)
    """Of `num_failed`."""
    ledger: Ledger = field(default_factory=Ledger)
    interrupted: bool = False
    untried: Untried = field(default_factory=Untried)
    warnings: tuple[str, ...] = ()
    """What does not stop a job and should be known, a line each."""


class Tally:
    """Counts what comes in, and tells the caller."""

    def __init__(self, todo: pa.Table, on_progress: OnProgress | None, begun: float) -> None:
        self._on_progress, self._begun = on_progress or (lambda _: None), begun
        self._num_total = todo.num_rows
        self._total_s = _total_s(todo)
        self._status: Counter[str] = Counter()
        self._done_s = 0.0
        self._heard_s: dict[tuple[str, str], float] = {}
        # What was heard is told by the runner's thread, answers by the writer's.
        self._lock = threading.Lock()
        self.computed_s = 0.0
        self.first_result_s: float | None = None
        self._tell(None)

    @property
    def wall_s(self) -> float:
        return perf_counter() - self._begun

    def add(self, answered: pa.Table) -> None:
        """Count answers, schema `lake.answers.SUMMARY`."""
        with self._lock:
            if self.first_result_s is None and answered.num_rows:
                self.first_result_s = self.wall_s
            self._done_s += _total_s(answered)
            for row in answered.select(COUNTED).to_pylist():
                self._heard_s.pop((row["corpus"], row["uri"]), None)
                self._status[row["status"]] += 1
                self.computed_s += (row["duration_ms"] or 0) / 1000
                if row["status"] == "failed":
                    self._tell(f"{row['uri']}: {row['error_code']}: {row['message']}")
            self._tell(None)

    def hear(self, recording: Recording, end_s: float) -> None:
        """Take note that a recording which is not finished was heard up to a second."""
        with self._lock:
            source = (recording.corpus, recording.uri)
            self._heard_s[source] = max(self._heard_s.get(source, 0.0), min(end_s, recording.planned_s))
            self._tell(None)

    def _tell(self, message: str | None) -> None:
        self._on_progress(
            Progress(
                done_s=self._done_s + sum(self._heard_s.values()),
                total_s=self._total_s,
                num_done=self._status.total(),
                num_total=self._num_total,
                num_failed=self._status["failed"],
                message=message,
            )
        )


def _total_s(rows: pa.Table) -> float:
    return float(planned_ms(rows).to_numpy().sum()) / 1000
