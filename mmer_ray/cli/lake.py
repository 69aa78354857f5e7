"""`mmer lake`: what keeps a lake small, whole and lawful."""

from __future__ import annotations

import typer

from mmer_ray.cli.lake_annotate import annotate
from mmer_ray.cli.lake_compact import compact
from mmer_ray.cli.lake_compare import compare
from mmer_ray.cli.lake_corpus import corpus
from mmer_ray.cli.lake_drift import drift
from mmer_ray.cli.lake_erase import erase
from mmer_ray.cli.lake_retain import retain
from mmer_ray.cli.lake_upgrade import upgrade
from mmer_ray.cli.lake_vacuum import vacuum
from mmer_ray.cli.lake_verify import verify

lake = typer.Typer(
    name="lake", help="Keep a lake: compact, verify, erase.", no_args_is_help=True, rich_markup_mode=None
)
for command in (compact, vacuum, verify, upgrade, erase, retain, compare, annotate, corpus, drift):
    lake.command()(command)
