"""How a command ends: exit codes that a script can switch on, and one honest line for the person who reads."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from enum import IntEnum

from mmer_ray.cli.output import ClosedPipeError, note
from mmer_ray.errors import LakeError, LedgerError, MmerError, PreflightError, UsageError


class ExitCode(IntEnum):
    """The whole list; `mmer --help` shows it."""

    DONE = 0
    BUG = 1
    USAGE = 2
    SOME_FAILED = 3
    """The job ended and is committed, but recordings in it failed; they are listed."""
    PREFLIGHT = 4
    """The job could not start, or the lake is locked or damaged. Nothing was spent."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C or SIGTERM; the same command goes on where it stopped."""
    CLOSED_PIPE = 141
    """The reader of stdout went away, as in `mmer query ... | head`."""


def explain(error: BaseException, debug: bool) -> ExitCode:
    """Say on stderr what ended the command; returns the exit code."""
    match error:
        case KeyboardInterrupt():
            note("interrupted")
            return ExitCode.INTERRUPTED
        case ClosedPipeError():
            _forget_stdout()
            return ExitCode.CLOSED_PIPE
        case UsageError():
            note(f"mmer: {error}", style="red")
            return ExitCode.USAGE
        case PreflightError() | LakeError():
            note(f"mmer: {error}", style="red")
            return ExitCode.PREFLIGHT
        case LedgerError():
            # A bug, but its sums are what the user and we need to see.
            note(f"mmer: {error}", style="red")
            return ExitCode.BUG
        case _:
            _report_bug(error, debug)
            return ExitCode.BUG


def _report_bug(error: BaseException, debug: bool) -> None:
    lines = "".join(traceback.format_exception(error))
    if debug:
        sys.stderr.write(lines)
        note("mmer: that is a bug of ours, sorry.", style="red")
        return
    with tempfile.NamedTemporaryFile("w", prefix="mmer-bug-", suffix=".txt", delete=False, encoding="utf-8") as file:
        file.write(f"{' '.join(sys.argv)}\n\n{lines}")
    what = "an uncaught MmerError" if type(error) is MmerError else type(error).__name__
    note(
        f"mmer: a bug of ours, sorry ({what}). What happened is in {file.name}; `mmer --debug ...` shows it here.",
        "red",
    )


def _forget_stdout() -> None:
    # Python flushes stdout at exit and would complain about the closed pipe a second time.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
