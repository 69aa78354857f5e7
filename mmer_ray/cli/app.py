"""The commands of `mmer`, and how every one of them ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from mmer_ray import __version__
from mmer_ray.cli.dashboard import dashboard
from mmer_ray.cli.demo import demo
from mmer_ray.cli.evaluate import evaluate
from mmer_ray.cli.exits import explain
from mmer_ray.cli.export import export
from mmer_ray.cli.lake import lake
from mmer_ray.cli.models import models
from mmer_ray.cli.query import query
from mmer_ray.cli.recluster import recluster
from mmer_ray.cli.redact import redact
from mmer_ray.cli.rescore import rescore
from mmer_ray.cli.retry import retry
from mmer_ray.cli.score import plan, score
from mmer_ray.cli.show import show
from mmer_ray.cli.speakers import speakers
from mmer_ray.cli.status import status
from mmer_ray.cli.streams import prepare_streams, writing_stdout
from mmer_ray.cli.train import train

EXIT_CODES = (
    "Exit codes: 0 done; 1 internal error; 2 usage; 3 finished, but recordings failed, or they or a model were "
    "refused; 4 not possible now: lake locked or damaged, models, space, permissions, network or cluster; 5 the "
    "lake's store failed during the run, finished commits are intact, the same command goes on; 130 interrupted; "
    "141 the reader of stdout went away."
)
DEBUG = "--debug"

app = typer.Typer(
    name="mmer",
    help="Score large audio corpora: who spoke when, what was said and with which emotion.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Boxes around help pages would cost a third of a second, on every page.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mmer {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option(DEBUG, help="Show the traceback of an error here.")] = False,
) -> None:
    """Score large audio corpora: who spoke when, what was said and with which emotion."""


for command in (score, plan, query, show, status, recluster, rescore, retry, export, redact, train, evaluate, demo):
    app.command()(command)
app.command()(dashboard)
app.add_typer(models, name="models")
app.add_typer(lake, name="lake")
app.add_typer(speakers, name="speakers")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    # Whoever meets an error types --debug at the end of the same line.
    debug = DEBUG in words
    try:
        prepare_streams()
        code = _run([word for word in words if word != DEBUG])
        with writing_stdout():
            pass
    except BaseException as error:
        return explain(error, debug)
    return code


def _run(words: Sequence[str]) -> int:
    try:
        app(words, prog_name="mmer")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
