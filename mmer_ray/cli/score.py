"""`mmer score` and `mmer plan`: run a job, or say what it would be."""

from __future__ import annotations

import typer

from mmer_ray.cli.caution import show_caution
from mmer_ray.cli.exits import ExitCode
from mmer_ray.cli.interrupts import stop_on_signal
from mmer_ray.cli.job_summary import plan_document, report_document, show_plan, show_report
from mmer_ray.cli.last_lake import remember_lake
from mmer_ray.cli.options import (
    Corpus,
    Erased,
    Json,
    Lake,
    Limit,
    NoProgress,
    ProfileName,
    Quiet,
    Roots,
    RunnerName,
    Settings,
    Sources,
    Transcripts,
    job_options,
)
from mmer_ray.cli.output import print_json
from mmer_ray.cli.streams import reserved_stdout
from mmer_ray.runner import Runner


def score(
    sources: Sources,
    lake: Lake,
    corpus: Corpus = "default",
    profile: ProfileName = "embedded",
    settings: Settings = None,
    runner: RunnerName = Runner.AUTO,
    limit: Limit = None,
    roots: Roots = None,
    transcripts: Transcripts = None,
    erased: Erased = False,
    json: Json = False,
    quiet: Quiet = False,
    no_progress: NoProgress = False,
) -> None:
    """Score recordings: who spoke when, what was said and with which emotion. Resumes where it stopped."""
    options = job_options(sources, lake, corpus, profile, settings, runner, limit, roots, transcripts, erased)
    from mmer_ray.cli.progress import progress_display
    from mmer_ray.runners import job
    from mmer_ray.stages.caution import caution_about

    has_progress = not (quiet or no_progress)
    with stop_on_signal() as stop, progress_display(has_progress) as on_progress, reserved_stdout():
        report = job.run(options, on_progress=on_progress, stop=stop)
    remember_lake(lake)
    if json:
        print_json(report_document(report, lake) | {"caution": caution_about(options.profile)})
    else:
        show_report(report, lake)
        show_caution(caution_about(options.profile))
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
    roots: Roots = None,
    transcripts: Transcripts = None,
    erased: Erased = False,
    json: Json = False,
) -> None:
    """Say what `mmer score` with the same arguments would do: files, hours, what is done, how long. Spends nothing."""
    options = job_options(sources, lake, corpus, profile, settings, runner, limit, roots, transcripts, erased)
    from mmer_ray.runners import job

    with reserved_stdout():
        planned = job.prepare(options)
    if json:
        print_json(plan_document(planned, lake))
    else:
        show_plan(planned)
