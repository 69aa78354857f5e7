"""Recordings of a lake asked again, without their sources: what `mmer rescore` runs."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mmer_ray.lake.plan import TODO
from mmer_ray.lake.rescoring import Left, Portion, RescorePlan, Rescoring, plan_rescore
from mmer_ray.lake.store import Lake
from mmer_ray.runner import Runner
from mmer_ray.runners.device_memory import require_memory
from mmer_ray.runners.estimate import estimate
from mmer_ray.runners.preflight import require_room
from mmer_ray.runners.tally import OnProgress, Tally
from mmer_ray.runners.work import Work, do, inactive_note, lost_counts, restarts_of, work_s
from mmer_ray.stages.preflight import preflight_models


@dataclass(frozen=True)
class RescoreReport:
    """What a rescore did, or would do."""

    scorers: tuple[str, ...]
    """The emotion models that were asked, or whose measures were made again."""
    num_planned: int
    """Recordings that were to be asked again, copies that take over what their file gets among them."""
    planned_s: float
    num_done: int
    """Hearings that needed nothing."""
    run_ids: tuple[str, ...] = ()
    runners: tuple[Runner, ...] = ()
    num_rescored: int = 0
    left: tuple[Left, ...] = ()
    """Recordings that were not asked again, or in vain: their earlier answers stay."""
    computed_s: float = 0.0
    wall_s: float = 0.0
    interrupted: bool = False
    notes: tuple[str, ...] = ()
    """What should be known, a line each: which corpora follow another model, what a later command has to do again."""


def prepare(address: str, wanted: Rescoring) -> RescoreReport:
    """Say what a rescore would do; writes nothing. Raises as `run`."""
    lake = _opened(address)
    return _report(lake, plan_rescore(lake, wanted))


def run(
    address: str, wanted: Rescoring, *, on_progress: OnProgress | None = None, stop: threading.Event | None = None
) -> RescoreReport:
    """Ask again, one run for each portion. Setting `stop` commits what is finished and ends.

    Raises `LakeError` where there is no lake or another process writes it, `PreflightError` where a model is missing or
    memory is short, otherwise as `job.Job.run`.
    """
    begun, stop = perf_counter(), stop or threading.Event()
    lake = _opened(address)
    require_room(lake)
    with lake.lock():
        planned = plan_rescore(lake, wanted)
        works = [_work(portion) for portion in planned.portions]
        tally = _LeftTally(planned, on_progress, begun)
        done = [one for work in works if not stop.is_set() for one in [do(lake, work, tally, stop)]]
    return _report(
        lake,
        planned,
        run_ids=tuple(run_id for run_id, _ in done if run_id is not None),
        runners=tuple(dict.fromkeys(work.runner for work in works)),
        num_rescored=sum(driven.ledger.num_scored for _, driven in done),
        left=(*planned.left, *tally.left),
        computed_s=tally.computed_s,
        wall_s=tally.wall_s,
        interrupted=len(done) < len(works) or any(driven.interrupted for _, driven in done),
    )


class _LeftTally(Tally):
    """Counts the answers of all portions together, and keeps those that failed."""

    def __init__(self, planned: RescorePlan, on_progress: OnProgress | None, begun: float) -> None:
        todo = [TODO.empty_table(), *(portion.plan.todo for portion in planned.portions)]
        super().__init__(pa.concat_tables(todo), on_progress, begun)
        self.left: list[Left] = []

    def add(self, answered: pa.Table) -> None:
        for row in answered.filter(pc.field("status") == "failed").to_pylist():
            self.left.append(Left(row["corpus"], row["uri"], f"{row['error_code']}: {row['message']}"))
        super().add(answered)


def _opened(address: str) -> Lake:
    lake = Lake(address)
    lake.require_existing()
    return lake


def _work(portion: Portion) -> Work:
    """What it takes to do a portion. Raises `PreflightError` where models are missing or do not fit in memory."""
    plan, profile = portion.plan, portion.profile
    restarts = set(restarts_of(plan.todo))
    guess = estimate(profile, plan.todo.num_rows, work_s(plan.todo))
    if restarts <= {"link"}:
        return Work(plan, profile, {}, guess.runner)
    models = preflight_models(profile, hears="decode" in restarts)
    require_memory(profile, models, guess.runner, plan.todo.num_rows)
    return Work(plan, profile, models, guess.runner)


def _report(lake: Lake, planned: RescorePlan, **done: Any) -> RescoreReport:
    plans = [portion.plan for portion in planned.portions]
    notes = [inactive_note(corpus, scorer, lake) for corpus, scorer in planned.inactive]
    return RescoreReport(
        scorers=planned.scorers,
        num_planned=sum(plan.num_planned for plan in plans),
        planned_s=sum(plan.todo_s for plan in plans),
        num_done=planned.num_done,
        notes=(*notes, *(note for plan in plans for note in lost_counts(plan))),
        **({"left": planned.left} | done),
    )
