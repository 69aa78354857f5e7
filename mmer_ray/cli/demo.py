"""`mmer demo`: score the synthetic calls that ship with the package, show them, measure them against their truth."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmer_ray.cli.exits import ExitCode
from mmer_ray.cli.interrupts import stop_on_signal
from mmer_ray.cli.job_summary import report_document, show_report
from mmer_ray.cli.last_lake import remember_lake
from mmer_ray.cli.options import Json, NoProgress, Quiet, RunnerName, runner_setting
from mmer_ray.cli.output import note, print_json
from mmer_ray.cli.streams import reserved_stdout
from mmer_ray.runner import Runner

if TYPE_CHECKING:
    from mmer_ray.demo.evaluate import Evaluation
    from mmer_ray.demo.truth import TrueCall
    from mmer_ray.lake.conversation import Conversation
    from mmer_ray.lake.overview import CallOverview
    from mmer_ray.runners.job import JobReport

CORPUS = "demo"
CHANNEL_ROLES = 'link.channel_roles=["agent", "customer"]'
"""How the stereo calls were mixed, as anybody knows of their own recorder."""
LEGAL_BASIS = "none needed: synthetic voices"

Into = Annotated[
    Path | None, typer.Option("--into", metavar="DIR", help="Make the lake there and keep it.", show_default=False)
]


@dataclass(frozen=True)
class Demo:
    """Everything that the demo shows."""

    lake: str
    job: JobReport
    wall_s: float
    """From before Ray's start to after the last commit."""
    conversations: tuple[Conversation, ...]
    overviews: tuple[CallOverview, ...]
    measured: Evaluation


def demo(
    into: Into = None,
    runner: RunnerName = Runner.RAY,
    json: Json = False,
    quiet: Quiet = False,
    no_progress: NoProgress = False,
) -> None:
    """Score twenty synthetic calls on this machine and say how well that went. Nothing is downloaded."""
    from mmer_ray.cli.demo_view import show_demo
    from mmer_ray.demo.truth import CALLS, MANIFEST_NAME, read_truth

    truth = read_truth()
    lake = str(into) if into is not None else tempfile.mkdtemp(prefix="mmer-demo-")
    if not quiet:
        note(f"scoring {len(truth)} calls into {lake}")
    began_s = time.perf_counter()
    report = _score(str(CALLS / MANIFEST_NAME), lake, runner, not (quiet or no_progress))
    wall_s = time.perf_counter() - began_s
    remember_lake(lake)
    if report.num_scored:
        _state_facts(lake)
    if report.interrupted:
        show_report(report, lake)
        raise typer.Exit(ExitCode.INTERRUPTED)
    result = _look(truth, lake, report, wall_s)
    if json:
        print_json(demo_document(result))
    else:
        show_demo(result)
    if report.num_failed or report.num_known_failures:
        raise typer.Exit(ExitCode.SOME_FAILED)


def _score(source: str, lake: str, runner: Runner, has_progress: bool) -> JobReport:
    from mmer_ray.cli.progress import progress_display
    from mmer_ray.profiles import load_profile
    from mmer_ray.runners import job

    profile = load_profile("synthetic", [CHANNEL_ROLES, *runner_setting(runner)])
    options = job.JobOptions((source,), lake, corpus=CORPUS, profile=profile)
    with stop_on_signal() as stop, progress_display(has_progress) as on_progress, reserved_stdout():
        return job.run(options, on_progress=on_progress, stop=stop)


def _state_facts(lake: str) -> None:
    """Say of the corpus what any corpus needs; readers of the lake flag one of which it is not said."""
    from mmer_ray.lake.corpus_facts import state
    from mmer_ray.lake.store import Lake

    state(Lake(lake), CORPUS, legal_basis=LEGAL_BASIS, notice_given=True, author="mmer demo")


def _look(truth: Sequence[TrueCall], lake: str, report: JobReport, wall_s: float) -> Demo:
    """Read the calls back from the lake, as any reader would, and measure them."""
    from mmer_ray.demo.evaluate import Call, evaluate
    from mmer_ray.lake.overview import overview_of
    from mmer_ray.lake.queries import open_lake

    with open_lake(lake) as reader:
        found = [reader.conversation(call.file) for call in truth]
    calls = [Call(call, one.utterances) for call, one in zip(truth, found, strict=True)]
    scored = [one for one in found if one.recording["status"] == "scored"]
    return Demo(
        lake=lake,
        job=report,
        wall_s=wall_s,
        conversations=tuple(scored),
        overviews=tuple(overview_of(one) for one in scored),
        measured=evaluate(calls),
    )


def demo_document(result: Demo) -> dict[str, Any]:
    """`mmer.demo/1`."""
    from mmer_ray.cli.demo_view import next_demo_commands
    from mmer_ray.lake.overview import seconds_by_label

    utterances = [one for conversation in result.conversations for one in conversation.utterances]
    return {
        "schema": "mmer.demo/1",
        "lake": result.lake,
        "wall_s": result.wall_s,
        "calls": [asdict(one) for one in result.overviews],
        "seconds_by_label": seconds_by_label(utterances),
        "measured": asdict(result.measured),
        "job": report_document(result.job, result.lake),
        "next": next_demo_commands(result.overviews, result.lake),
    }
