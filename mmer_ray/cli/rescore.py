"""`mmer rescore`: recordings that the lake has, asked again by another emotion model or from a stage on."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmer_ray.cli.exits import ExitCode
from mmer_ray.cli.interrupts import stop_on_signal
from mmer_ray.cli.options import (
    Json,
    Lake,
    Limit,
    NoProgress,
    Quiet,
    RootsOfRecordings,
    RunnerName,
    ScopeCorpus,
    ScopeWhere,
    Settings,
    runner_setting,
)
from mmer_ray.cli.output import count, print_json, say, span
from mmer_ray.cli.streams import reserved_stdout
from mmer_ray.runner import Runner

if TYPE_CHECKING:
    from mmer_ray.runners.rescore import RescoreReport

MAX_REASONS = 5
EmotionModel = Annotated[
    str | None,
    typer.Option("--emotion", metavar="MODEL", help="An emotion model, named as emotion.model is.", show_default=False),
]
FromStage = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="STAGE",
        help="Do this stage and those after it again, also where nothing changed: decode, diarize, transcribe, join, "
        "emotion or link.",
        show_default=False,
    ),
]
OtherProfile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME|FILE.toml",
        help="Hear with this profile, with --from decode; left out: the one that each recording was heard with.",
        show_default=False,
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; compute and write nothing.")]


def rescore(
    lake: Lake,
    emotion: EmotionModel = None,
    stage: FromStage = None,
    corpus: ScopeCorpus = None,
    where: ScopeWhere = None,
    limit: Limit = None,
    profile: OtherProfile = None,
    settings: Settings = None,
    runner: RunnerName = Runner.AUTO,
    roots: RootsOfRecordings = None,
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
    no_progress: NoProgress = False,
) -> None:
    """Ask recordings of a lake again, without naming their sources: another emotion model, or a stage on.

    With --emotion the words and speakers stay; the new answers lie beside the others. What cannot be asked again keeps
    the answers that it has.
    """
    from mmer_ray.cli.progress import progress_display
    from mmer_ray.lake.hearings import ERASED
    from mmer_ray.lake.rescoring import Rescoring
    from mmer_ray.profiles import load_profile
    from mmer_ray.runners import rescore as rescoring

    wanted = Rescoring(
        emotion=emotion,
        stage=stage,
        profile=None if profile is None else load_profile(profile),
        settings=(*(settings or ()), *runner_setting(runner)),
        corpus=corpus,
        where=where,
        limit=limit,
        roots=tuple(roots or ()),
    )
    if dry_run:
        with reserved_stdout():
            report = rescoring.prepare(lake, wanted)
    else:
        shows = not (quiet or no_progress)
        with stop_on_signal() as stop, progress_display(shows) as on_progress, reserved_stdout():
            report = rescoring.run(lake, wanted, on_progress=on_progress, stop=stop)
    if json:
        print_json(_document(report, lake, dry_run))
    else:
        _show(report, lake, dry_run)
    if report.interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)
    # What was erased stays away for good: a nightly rescore must not fail for it ever after.
    if any(one.reason != ERASED for one in report.left):
        raise typer.Exit(ExitCode.SOME_FAILED)


def _document(report: RescoreReport, lake: str, dry_run: bool) -> dict[str, Any]:
    """`mmer.rescore/1`."""
    return {
        "schema": "mmer.rescore/1",
        "lake": lake,
        "dry_run": dry_run,
        **asdict(report),
        "left_by_reason": dict(Counter(one.reason for one in report.left)),
    }


def _show(report: RescoreReport, lake: str, dry_run: bool) -> None:
    if dry_run:
        say(f"to rescore    {count(report.num_planned, 'recording')}, {span(report.planned_s)} of audio")
        say(f"nothing to do {count(report.num_done, 'recording')}")
    else:
        say(f"{report.num_rescored} rescored, {report.num_done} with nothing to do", style="bold")
        if report.num_rescored:
            runners = ", ".join(report.runners)
            say(f"{span(report.computed_s)} of audio in {span(report.wall_s)} ({runners})")
    if report.scorers:
        say(f"emotion models: {', '.join(report.scorers)}")
    if report.left:
        say(f"{count(len(report.left), 'recording')} not rescored; the earlier answers stay", style="yellow")
        example = {one.reason: one.uri for one in reversed(report.left)}
        for reason, num in Counter(one.reason for one in report.left).most_common(MAX_REASONS):
            say(f"  {num:>6} {reason}, such as {example[reason]}")
    for note in report.notes:
        say(note, style="yellow")
    if report.interrupted:
        say("interrupted: what was finished is committed, the same command goes on from here")
    if len(report.scorers) == 1 and not dry_run:
        say(f"  mmer status --lake {shlex.quote(lake)}")
