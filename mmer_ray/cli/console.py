"""The terminal through rich: results on stdout, everything else on stderr."""

from __future__ import annotations

import sys
from typing import IO, NoReturn

from rich.console import Console

from mmer_ray.cli.streams import ClosedPipeError

PIPE_WIDTH = 400
"""Columns of a table that goes to a file or a pipe, where nothing need be cut to a screen."""


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        raise ClosedPipeError


def results() -> Console:
    """Console on stdout; colours only on a terminal."""
    return _console(sys.stdout)


def notes() -> Console:
    """Console on stderr: progress, logs, hints, errors."""
    return _console(sys.stderr)


def _console(stream: IO[str]) -> Console:
    width = None if stream.isatty() else PIPE_WIDTH
    return _Console(file=stream, markup=False, highlight=False, emoji=False, soft_wrap=True, width=width)
