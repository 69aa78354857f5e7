"""`mmer score` and `mmer plan`: run a job, or say what it would be."""

from __future__ import annotations

import typer

from mmer_ray.cli.exits import ExitCode
from mmer_ray.cli.interrupts import stop_on_signal
from mmer_ray.cli.job_summary import plan_document, report_document, show_plan, show_report
from mmer_ray.cli.options import (
    Corpus,
    Json,
    Lake,
    Limit,
    NoProgress,
    ProfileName,
    Quiet,
    RunnerName,
    Settings,
    Sources,
    job_options,
)
from mmer_ray.cli.output import print_json
from mmer_ray.cli.progress import progress_display
from mmer_ray.runner import Runner


def score(
    sources: Sources,
    lake: Lake,
    corpus: Corpus = "default",
    profile: ProfileName = "embedded",
    settings: Settings = None,
    runner: RunnerName = Runner.AUTO,
    limit: Limit = None,
    json: Json = False,
    quiet: Quiet = False,
    no_progress: NoProgress = False,
) -> None:
    """Score recordings: who spoke when, what was said and how it was felt. Resumes where it stopped."""
    options = job_options(sources, lake, corpus, profile, settings, runner, limit)
    from mmer_ray.runners import job

    with stop_on_signal() as stop, progress_display(not (quiet or no_progress)) as on_progress:
        report = job.run(options, on_progress=on_progress, stop=stop)
    if json:
        print_json(report_document(report, lake))
    else:
        show_report(report, lake)
    if report.interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)
    if report.num_failed or report.num_known_failures:
        raise typer.Exit(ExitCode.SOME_FAILED)


def plan(
    sources: Sources,
    lake: Lake,
    corpus: Corpus = "default",
    profile: ProfileName = "embedded",
    settings: Settings = None,
    runner: RunnerName = Runner.AUTO,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Say what `mmer score` with the same arguments would do: files, hours, what is done, how long. Spends nothing."""
    options = job_options(sources, lake, corpus, profile, settings, runner, limit)
    from mmer_ray.runners import job

    planned = job.prepare(options)
    if json:
        print_json(plan_document(planned, lake))
    else:
        show_plan(planned)
