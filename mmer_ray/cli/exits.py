"""How a command ends: exit codes that a script can switch on, and one line for the person who reads."""

from __future__ import annotations

import sys
import tempfile
import traceback
from enum import IntEnum

from mmer_ray.cli.environment import explain_environment, root_cause
from mmer_ray.cli.output import note
from mmer_ray.cli.streams import ClosedPipeError, settle_stdout
from mmer_ray.errors import (
    LakeError,
    LedgerError,
    MmerError,
    PreflightError,
    StoreError,
    SystematicFailureError,
    TrainingError,
    UsageError,
)


class ExitCode(IntEnum):
    """The whole list; `mmer --help` shows it."""

    DONE = 0
    BUG = 1
    USAGE = 2
    SOME_FAILED = 3
    """The job ended and is committed, but recordings of its sources failed, in this run or in an earlier one; or
    recordings were refused that could not be verified (`mmer redact`), or a model that its gate keeps out (`mmer models
    promote`)."""
    PREFLIGHT = 4
    """Something outside this program is in the way: the lake is locked or damaged, models, space, permissions, the
    network, the cluster."""
    STORE = 5
    """The lake's store failed during the run. Finished commits are intact; the same command goes on."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C or SIGTERM; the same command goes on where it stopped."""
    CLOSED_PIPE = 141
    """The reader of stdout went away, as in `mmer query ... | head`."""


def explain(error: BaseException, debug: bool) -> ExitCode:
    """Say on stderr what ended the command; returns the exit code."""
    settle_stdout()
    error = root_cause(error)
    code, message = _verdict(error)
    if debug and code not in (ExitCode.INTERRUPTED, ExitCode.CLOSED_PIPE):
        sys.stderr.write("".join(traceback.format_exception(error)))
    if message is None and code is ExitCode.BUG:
        message = _internal_error(error, debug)
    messages = [f"mmer: {one}" for one in error.problems] if isinstance(error, PreflightError) else [message]
    for line in messages:
        if line is not None:
            note(line, style="" if code is ExitCode.INTERRUPTED else "red")
    return code


def _verdict(error: BaseException) -> tuple[ExitCode, str | None]:
    """The exit code and what to say; a bug's message is made elsewhere."""
    match error:
        case KeyboardInterrupt():
            return ExitCode.INTERRUPTED, "interrupted"
        case ClosedPipeError():
            return ExitCode.CLOSED_PIPE, None
        case UsageError():
            return ExitCode.USAGE, f"mmer: {error}"
        case PreflightError() | LakeError():
            return ExitCode.PREFLIGHT, f"mmer: {error}"
        case StoreError():
            return ExitCode.STORE, f"mmer: {error}"
        case LedgerError() | SystematicFailureError() | TrainingError():
            # The sums or the utterances that the message names are what the user and we need to see.
            return ExitCode.BUG, f"mmer: {error}"
    found = explain_environment(error)
    return (ExitCode.BUG, None) if found is None else (ExitCode.PREFLIGHT, f"mmer: {found}")


def _internal_error(error: BaseException, debug: bool) -> str:
    name = "an uncaught MmerError" if type(error) is MmerError else type(error).__name__
    if debug:
        return f"mmer: internal error ({name})"
    lines = f"{' '.join(sys.argv)}\n\n{''.join(traceback.format_exception(error))}"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="mmer-error-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as file:
            file.write(lines)
    except OSError:
        return f"mmer: internal error ({name}: {error}). `mmer --debug ...` shows its details."
    return f"mmer: internal error ({name}). Details are in {file.name}; `mmer --debug ...` shows them here."
