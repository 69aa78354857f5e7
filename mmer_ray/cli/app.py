"""The commands of `mmer`, and how every one of them ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from mmer_ray import __version__
from mmer_ray.cli.demo import demo
from mmer_ray.cli.exits import explain
from mmer_ray.cli.export import export
from mmer_ray.cli.models import models
from mmer_ray.cli.query import query
from mmer_ray.cli.score import plan, score
from mmer_ray.cli.show import show
from mmer_ray.cli.status import status

EXIT_CODES = (
    "Exit codes: 0 done, 1 a bug of ours, 2 usage, 3 finished with failed recordings, 4 could not start, "
    "130 interrupted."
)
DEBUG = "--debug"

app = typer.Typer(
    name="mmer",
    help="Score large audio corpora: who spoke when, what was said and how it was felt.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
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
    debug: Annotated[bool, typer.Option(DEBUG, help="Show the traceback of a bug here.")] = False,
) -> None:
    """Score large audio corpora: who spoke when, what was said and how it was felt."""


for command in (score, plan, query, show, status, export, demo):
    app.command()(command)
app.add_typer(models, name="models")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    # Whoever meets a bug types --debug at the end of the same line.
    debug = DEBUG in words
    try:
        app([word for word in words if word != DEBUG], prog_name="mmer")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException as error:
        return explain(error, debug)
    return 0
