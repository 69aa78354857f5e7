"""What is worked out of the rows of `runs`: how far a run came, how fast it was, where its seconds went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from mmer_ray.tables import Row

STARTED = "started"
STATUSES: Mapping[str, str] = MappingProxyType({
    "finished": "finished",
    "interrupted": "interrupted",
    "unbalanced": "ledger did not sum",
    STARTED: "open or killed",
})  # fmt: skip
"""Status of a run -> what people read."""
SEEN_SHARE = 0.05
MIN_RATE_S = 1.0
"""Of shorter runs a rate says nothing."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a sum of the ledger."""

    whole: str
    name: str
    milliseconds: int


def status_of(run: Row) -> str:
    """What people read."""
    return STATUSES.get(run["status"], run["status"])


def names_of(started: Mapping[str, datetime]) -> dict[str, str]:
    """Run id -> a name short enough for an axis: the day it began on, with the time and the end of its id where the day
    has several."""
    for form in ("{at:%d %b}", "{at:%d %b %H:%M}"):
        names = {run_id: form.format(at=at) for run_id, at in started.items()}
        if len(set(names.values())) == len(names):
            return names
    return {run_id: f"{at:%d %b %H:%M} {run_id[-4:]}" for run_id, at in started.items()}


def ends_of(runs: Sequence[Row], commits: Sequence[Row]) -> dict[str, datetime]:
    """Run id -> when it ended; of a run without an end, when it committed last."""
    ends: dict[str, datetime] = {run["run_id"]: run["written_at"] for run in runs}
    is_open = {run["run_id"] for run in runs if run["status"] == STARTED}
    for row in commits:
        if row["run_id"] in is_open:
            ends[row["run_id"]] = max(ends[row["run_id"]], row["committed_at"])
    return ends


def clock_format(runs: Sequence[Row], ends: Mapping[str, datetime]) -> str:
    """How an axis over all these runs writes times: as exactly as its length asks for, of 24 hours."""
    span = max(ends.values()) - min(run["started_at"] for run in runs)
    if span < timedelta(minutes=10):
        return "%H:%M:%S"
    return "%H:%M" if span < timedelta(days=1) else "%d %b %H:%M" if span < timedelta(days=6) else "%d %b"


def is_short(runs: Sequence[Row], ends: Mapping[str, datetime]) -> bool:
    """Whether each run is too short to be seen beside the time from the first to the last."""
    span_s = (max(ends.values()) - min(run["started_at"] for run in runs)).total_seconds()
    longest_s = max((ends[run["run_id"]] - run["started_at"]).total_seconds() for run in runs)
    return len(runs) > 1 and longest_s < SEEN_SHARE * span_s


def speed(run: Row) -> float | None:
    """Hours of audio per hour on the clock; None where a run tells none."""
    wall_s = run["wall_s"] or 0.0
    return (run["scored_ms"] or 0) / 1000 / wall_s if wall_s >= MIN_RATE_S and run["scored_ms"] else None


def stage_seconds(run: Row) -> dict[str, float]:
    """Stage -> seconds that processes spent in it, per hour of audio; empty where a run tells none."""
    hours = (run["scored_ms"] or 0) / 3_600_000
    return {stage: seconds / hours for stage, seconds in dict(run["stage_s"] or ()).items()} if hours else {}


def parts_of_run(run: Row) -> list[Part]:
    """Both equations of a run's ledger."""
    return [
        Part("planned", "scored", run["scored_ms"] or 0),
        Part("planned", "failed", run["quarantined_ms"] or 0),
        Part("planned", "erased", run["erased_ms"] or 0),
        Part("planned", "not reached", run["unreached_ms"] or 0),
        Part("scored", "speech", run["speech_ms"] or 0),
        Part("scored", "no speech", run["non_speech_ms"] or 0),
    ]


def parts_now(ledger: Row) -> list[Part]:
    """Both equations of what the lake holds; the row of `questions.runs.ledger`."""
    return [
        Part("planned", "scored", ledger["scored_ms"]),
        Part("planned", "failed", ledger["quarantined_ms"]),
        Part("scored", "speech", ledger["speech_ms"]),
        Part("scored", "no speech", ledger["non_speech_ms"]),
    ]


def gap_s(parts: Sequence[Part], planned_ms: int | None = None) -> float:
    """By how many seconds the equations do not hold: scored against speech and no speech and, where it is known what
    was planned, planned against its parts."""
    sums = {whole: sum(one.milliseconds for one in parts if one.whole == whole) for whole in ("planned", "scored")}
    scored_ms = next(one.milliseconds for one in parts if one.name == "scored")
    gaps = [abs(scored_ms - sums["scored"])]
    if planned_ms is not None:
        gaps.append(abs(planned_ms - sums["planned"]))
    return max(gaps) / 1000
