"""What a job was, or would be, in a few lines or as one document."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mmer_ray.cli.output import count, say, span

if TYPE_CHECKING:
    from mmer_ray.lake.ledger import Ledger
    from mmer_ray.runners.job import JobPlan, JobReport
    from mmer_ray.runners.tally import Untried

TOP_CODES = 5


def plan_document(plan: JobPlan, lake: str) -> dict[str, Any]:
    """`mmer.plan/1`."""
    return {
        "schema": "mmer.plan/1",
        "lake": lake,
        "runner": plan.runner,
        "reason": plan.reason,
        "num_todo": plan.num_todo,
        "todo_s": plan.todo_s,
        "restarts": dict(plan.restarts),
        "num_done": plan.num_done,
        "done_s": plan.done_s,
        "num_known_failures": plan.num_known_failures,
        "num_copies": plan.num_copies,
        "num_erased": plan.num_erased,
        **untried_document(plan.untried),
        "warnings": list(plan.warnings),
        "estimate_s": None if plan.estimate_s is None else list(plan.estimate_s),
    }


def show_plan(plan: JobPlan) -> None:
    """Files, hours, what is already done, the time it will take and where it will run."""
    say(f"to score      {count(plan.num_todo, 'recording')}, {span(plan.todo_s)} of audio")
    say(f"already done  {count(plan.num_done, 'recording')}, {span(plan.done_s)}")
    if plan.num_copies:
        say(f"copies        {count(plan.num_copies, 'recording')} with bytes that are known: no model runs")
    if plan.num_known_failures:
        say(f"known bad     {count(plan.num_known_failures, 'recording')}, left alone until the file changes")
    if plan.num_erased:
        say(f"erased        {count(plan.num_erased, 'recording')}, left alone: --erased scores what was erased again")
    show_untried(plan.untried)
    if plan.estimate_s is not None:
        low_s, high_s = plan.estimate_s
        say(f"estimate      {span(low_s)} to {span(high_s)}")
    say(f"runner        {plan.runner}: {plan.reason}")
    for warning in plan.warnings:
        say(f"note          {warning}")


def untried_document(untried: Untried) -> dict[str, Any]:
    """What the sources hold or name and the job does not try, as JSON documents have it."""
    return {
        "left_out": dict(untried.left_out),
        "left_out_examples": dict(untried.examples),
        "num_repeated": untried.num_repeated,
        "repeated_example": untried.repeated_example,
    }


def show_untried(untried: Untried) -> None:
    """What the sources hold or name and the job does not try, one kind a line."""
    for reason, num in sorted(untried.left_out.items()):
        # A reason in parentheses is a place that nobody looked into; the name lets the user check it.
        is_place = reason.startswith("(") and reason in untried.examples
        say(f"left out      {num} x {reason}, {f'such as {untried.examples[reason]}' if is_place else 'not audio'}")
    if untried.num_repeated:
        repeated = f"{untried.num_repeated} named again, such as {untried.repeated_example}; each is scored once"
        say(f"repeated      {repeated}")


def report_document(report: JobReport, lake: str) -> dict[str, Any]:
    """`mmer.score/1`."""
    return {
        "schema": "mmer.score/1",
        "lake": lake,
        "run_id": report.run_id,
        "runner": report.runner,
        "interrupted": report.interrupted,
        "num_scored": report.num_scored,
        "num_failed": report.num_failed,
        "num_copies": report.ledger.num_copies,
        "num_skipped": report.num_skipped,
        "num_known_failures": report.num_known_failures,
        "num_erased": report.num_erased,
        "audio_s": report.audio_s,
        "computed_s": report.computed_s,
        "wall_s": report.wall_s,
        "first_result_s": report.first_result_s,
        "speed_x": _speed_x(report),
        "failures_by_code": dict(report.failures_by_code),
        **untried_document(report.untried),
        "warnings": list(report.warnings),
        "ledger": ledger_document(report.ledger),
        "next": next_commands(report, lake),
    }


def ledger_document(ledger: Ledger) -> dict[str, Any]:
    """The ledger in seconds, as JSON documents have it."""
    names = ("planned", "scored", "quarantined", "erased", "unreached", "speech", "non_speech")
    return {
        **{f"{name}_s": getattr(ledger, f"{name}_ms") / 1000 for name in names},
        "difference_s": ledger.difference_s,
        **{
            f"num_{name}": getattr(ledger, f"num_{name}")
            for name in ("planned", "received", "scored", "copies", "failed", "erased", "unreached")
        },
    }


def show_report(report: JobReport, lake: str) -> None:
    """Counts, hours, speed, the most frequent error codes, and what to type next."""
    num_done = report.num_skipped - report.num_known_failures
    say(f"{report.num_scored} scored, {report.num_failed} failed, {num_done} already done", style="bold")
    if report.num_scored or report.num_failed:
        speed_x = _speed_x(report)
        speed = "" if speed_x is None else f", {speed_x:.1f} x real time"
        say(f"{span(report.audio_s)} of audio in {span(report.wall_s)}{speed} ({report.runner})")
    if num := report.ledger.num_copies:
        say(f"of these, {count(num, 'file')} with the bytes of another: models worked on {span(report.computed_s)}")
    show_codes(report.failures_by_code)
    if report.num_erased:
        verb = "was erased and is" if report.num_erased == 1 else "were erased and are"
        say(f"{count(report.num_erased, 'recording')} {verb} left alone; --erased scores what was erased again")
    show_untried(report.untried)
    if report.num_known_failures:
        failed = count(report.num_known_failures, "recording")
        say(f"{failed} of these sources failed earlier and are not tried again until the file changes", style="yellow")
    for warning in report.warnings:
        say(warning, style="yellow")
    if report.interrupted:
        say("interrupted: what was finished is committed, the same command goes on from here")
    for command in next_commands(report, lake):
        say(f"  {command}")


def show_codes(failures_by_code: Mapping[str, int]) -> None:
    """The most frequent error codes, one a line."""
    ranked = Counter(failures_by_code).most_common()
    for code, num in ranked[:TOP_CODES]:
        say(f"  {num:>6} {code}")
    if len(ranked) > TOP_CODES:
        say(f"  {sum(num for _, num in ranked[TOP_CODES:]):>6} with {len(ranked) - TOP_CODES} other codes")


def next_commands(report: JobReport, lake: str) -> list[str]:
    """Commands worth typing after this job, ready to paste."""
    commands = [f"mmer status --lake {shlex.quote(lake)}"]
    if report.num_failed or report.num_known_failures:
        commands.append(failures_command(lake))
    return commands


def failures_command(lake: str) -> str:
    """The command that lists the recordings that failed."""
    sql = "SELECT uri, error_code, error_message FROM recordings WHERE status = 'failed' ORDER BY error_code, uri"
    return f'mmer query --lake {shlex.quote(lake)} "{sql}"'


def _speed_x(report: JobReport) -> float | None:
    return report.computed_s / report.wall_s if report.wall_s > 0 and report.computed_s > 0 else None
