"""`mmer lake`: what keeps a lake small, whole and lawful."""

from __future__ import annotations

import typer

lake = typer.Typer(
    name="lake", help="Keep a lake: compact, erase, verify.", no_args_is_help=True, rich_markup_mode=None
)
