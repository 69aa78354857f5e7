"""`mmer status`: what is in a lake, whether every second is accounted for, what ran and what failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from mmer_ray.cli.job_summary import failures_command, ledger_document
from mmer_ray.cli.last_lake import lake_to_read
from mmer_ray.cli.options import Json, LakeToRead
from mmer_ray.cli.output import print_json, print_table, say, span

if TYPE_CHECKING:
    from mmer_ray.lake.ledger import Ledger
    from mmer_ray.lake.status import LakeStatus
    from mmer_ray.tables import Row

MAX_RUNS = 10
STARTED, KILLED = "started", "interrupted"
RUN_COLUMNS = (
    "run",
    "status",
    "started (UTC)",
    "profile",
    "planned",
    "scored",
    "copies",
    "failed",
    "audio",
    "x real time",
)


def status(lake: LakeToRead = None, json: Json = False) -> None:
    """Runs, the ledger of seconds, and failures by code."""
    from mmer_ray.lake.exclusive import may_be_written
    from mmer_ray.lake.queries import open_lake

    lake = lake_to_read(lake)
    was_locked = may_be_written(lake)
    with open_lake(lake) as reader:
        found = reader.status()
    found = replace(found, runs=settled(found.runs, may_be_running=was_locked or may_be_written(lake)))
    if json:
        print_json(status_document(found, lake))
        return
    _show_ledger(found)
    _show_failures(found, lake)
    _show_runs(found)


def settled(runs: Sequence[Row], *, may_be_running: bool) -> list[Row]:
    """The runs, newest first, with `interrupted` for those whose process has ended without closing them.

    One process writes a lake at a time: only the newest run can still be going, and only while the lake is locked.
    """
    return [
        run | {"status": KILLED} if run["status"] == STARTED and not (index == 0 and may_be_running) else run
        for index, run in enumerate(runs)
    ]


def status_document(found: LakeStatus, lake: str) -> dict[str, Any]:
    """`mmer.status/1`."""
    return {
        "schema": "mmer.status/1",
        "lake": lake,
        "num_utterances": found.num_utterances,
        "active_scorer": found.active_scorer,
        "dropped_words": found.dropped_words,
        "ledger": ledger_document(found.ledger),
        "failures": [asdict(failure) for failure in found.failures],
        "runs": found.runs,
    }


def _show_ledger(found: LakeStatus) -> None:
    ledger = found.ledger
    copies = f" ({ledger.num_copies} of them copies)" if ledger.num_copies else ""
    say(
        f"{ledger.num_planned} recordings: {ledger.num_scored} scored{copies}, {ledger.num_failed} failed", style="bold"
    )
    say(f"{found.num_utterances} utterances, emotions by {found.active_scorer or 'no model yet'}")
    if found.dropped_words:
        reasons = ", ".join(f"{number} {reason.replace('_', ' ')}" for reason, number in found.dropped_words.items())
        say(f"{sum(found.dropped_words.values())} words were read and not believed: {reasons}")
    say(_equation("planned", ledger.planned_ms, scored=ledger.scored_ms, quarantined=ledger.quarantined_ms))
    say(_equation("scored", ledger.scored_ms, speech=ledger.speech_ms, non_speech=ledger.non_speech_ms))
    say(*_balance(ledger))


def _equation(whole: str, whole_ms: int, **parts_ms: int) -> str:
    parts = " + ".join(f"{name.replace('_', '-')} {ms / 1000:,.1f} s" for name, ms in parts_ms.items())
    return f"  {whole} {whole_ms / 1000:,.1f} s = {parts}"


def _balance(ledger: Ledger) -> tuple[str, str]:
    from mmer_ray.lake.ledger import TOLERANCE_S

    if ledger.difference_s <= TOLERANCE_S:
        return f"  the ledger sums (difference {ledger.difference_s:.3f} s)", ""
    return f"  the ledger does not sum: {ledger.difference_s:.3f} s are missing or counted twice", "red"


def _show_failures(found: LakeStatus, lake: str) -> None:
    if not found.failures:
        return
    say("")
    rows = [[one.num_recordings, one.error_code, one.error_stage, one.example_uri] for one in found.failures]
    print_table(("failed", "code", "stage", "for example"), rows)
    say(f"  {failures_command(lake)}")


def _show_runs(found: LakeStatus) -> None:
    say("")
    print_table(RUN_COLUMNS, [_run_row(run) for run in found.runs[:MAX_RUNS]])
    if len(found.runs) > MAX_RUNS:
        say(f"  and {len(found.runs) - MAX_RUNS} older runs")
    if any(run["status"] == KILLED for run in found.runs[:MAX_RUNS]):
        say("  interrupted: the run was stopped or killed; what it committed counts, the same `mmer score` goes on")


def _run_row(run: dict[str, Any]) -> list[Any]:
    counts = [run[f"num_{name}"] for name in ("planned", "scored", "copies", "failed")]
    scored_s = None if run["scored_ms"] is None else run["scored_ms"] / 1000
    speed_x = None if not scored_s or not run["wall_s"] else round(scored_s / run["wall_s"], 1)
    started = f"{run['started_at']:%Y-%m-%d %H:%M:%S}"
    return [
        run["run_id"],
        run["status"],
        started,
        run["profile"],
        *counts,
        None if scored_s is None else span(scored_s),
        speed_x,
    ]
