"""`mmer retry`: recordings that failed, tried again now."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mmer_ray.cli.exits import ExitCode
from mmer_ray.cli.interrupts import stop_on_signal
from mmer_ray.cli.job_summary import failures_command, show_codes
from mmer_ray.cli.named_corpus import require_corpus
from mmer_ray.cli.options import (
    Json,
    Lake,
    Limit,
    NoProgress,
    Quiet,
    Roots,
    RunnerName,
    ScopeCorpus,
    Settings,
)
from mmer_ray.cli.output import count, print_json, say, span
from mmer_ray.cli.streams import reserved_stdout
from mmer_ray.errors import RETRYABLE, ErrorCode, UsageError
from mmer_ray.runner import Runner

if TYPE_CHECKING:
    from mmer_ray.runners.retry import RetryReport

MAX_LEFT = 5
Codes = Annotated[
    list[str] | None,
    typer.Option(
        "--code",
        metavar="CODE",
        help="Those that failed with this code; may be repeated. Left out: with any code that may pass.",
        show_default=False,
    ),
]
Among = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SOURCE...",
        help="Only recordings of these files, folders, s3:// prefixes or manifests; without any, the whole lake.",
        show_default=False,
    ),
]
OwnProfile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME|FILE.toml",
        help="Score with this profile; left out: the one under which each recording failed.",
        show_default=False,
    ),
]


def retry(
    lake: Lake,
    sources: Among = None,
    codes: Codes = None,
    corpus: ScopeCorpus = None,
    profile: OwnProfile = None,
    settings: Settings = None,
    runner: RunnerName = Runner.AUTO,
    limit: Limit = None,
    roots: Roots = None,
    json: Json = False,
    quiet: Quiet = False,
    no_progress: NoProgress = False,
) -> None:
    """Try failed recordings again now, whatever the rules for waiting say. The tries are counted.

    What killed its worker (worker_crash) runs on Ray, unless --runner says otherwise.
    """
    wanted = frozenset(map(_code, codes or ()))
    require_corpus(lake, corpus)
    from mmer_ray.cli.progress import progress_display
    from mmer_ray.profiles import load_profile
    from mmer_ray.runners import retry as retrying

    options = retrying.RetryOptions(
        lake=lake,
        codes=wanted,
        sources=tuple(sources or ()),
        corpus=corpus,
        profile=None if profile is None else load_profile(profile),
        settings=tuple(settings or ()),
        runner=runner,
        roots=tuple(roots or ()),
        limit=limit,
    )
    shows = not (quiet or no_progress)
    with stop_on_signal() as stop, progress_display(shows) as on_progress, reserved_stdout():
        report = retrying.run(options, on_progress=on_progress, stop=stop)
    if json:
        print_json({"schema": "mmer.retry/1", "lake": lake, **asdict(report)})
    else:
        _show(report, lake, sorted(wanted or RETRYABLE))
    if report.interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)
    if report.num_failed or report.left:
        raise typer.Exit(ExitCode.SOME_FAILED)


def _code(name: str) -> ErrorCode:
    try:
        return ErrorCode(name)
    except ValueError:
        raise UsageError(f"--code {name}: no error is called so; codes are: {', '.join(ErrorCode)}") from None


def _show(report: RetryReport, lake: str, codes: list[ErrorCode]) -> None:
    if not (report.num_scored or report.num_failed or report.left):
        say(f"no recording failed with {' or '.join(codes)}")
        return
    say(f"{report.num_scored} scored, {report.num_failed} failed again", style="bold")
    if report.num_scored:
        say(f"{span(report.audio_s)} of audio in {span(report.wall_s)}")
    show_codes(report.failures_by_code)
    if report.left:
        say(f"{count(len(report.left), 'recording')} cannot be tried from here", style="yellow")
        for uri, reason in list(report.left.items())[:MAX_LEFT]:
            say(f"  {uri}: {reason}")
    for warning in report.warnings:
        say(warning, style="yellow")
    if report.interrupted:
        say("interrupted: what was finished is committed, the same command goes on from here")
    say(f"  mmer status --lake {shlex.quote(lake)}")
    if report.num_failed:
        say(f"  {failures_command(lake)}")
