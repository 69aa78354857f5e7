"""The three standard streams: usable whatever the caller did with them, and stdout kept free for results."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import IO

from mmer_ray.errors import PreflightError

STDIN, STDOUT, STDERR = 0, 1, 2


class ClosedPipeError(Exception):
    """The reader of our stdout went away. Not an `OSError`: typer would end with an exit code of its own."""


def prepare_streams() -> None:
    """Make all three streams usable. Raises `PreflightError` where stdout is closed.

    A closed descriptor would be given to the next file that is opened, and a print would write into that. A terminal
    that lacks a character shows a question mark for it.
    """
    is_closed = not _is_open(STDOUT)
    for descriptor in (STDIN, STDOUT, STDERR):
        if not _is_open(descriptor):
            # The lowest free descriptor is taken, which is this one.
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = _open_null()
    if sys.stdout is None:
        sys.stdout = _open_null()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if is_closed:
        raise PreflightError("stdout is closed, so no result can be printed; redirect it to a file or to /dev/null")


@contextmanager
def reserved_stdout() -> Iterator[None]:
    """Send to stderr what libraries and child processes print on stdout meanwhile: Ray tells there of dead workers."""
    sys.stdout.flush()
    kept = os.dup(STDOUT)
    os.dup2(STDERR, STDOUT)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, STDOUT)
        os.close(kept)


@contextmanager
def writing_stdout() -> Iterator[IO[str]]:
    """Write results and flush them. Raises `ClosedPipeError`, or `PreflightError` where they cannot be written."""
    try:
        yield sys.stdout
        sys.stdout.flush()
    except BrokenPipeError as exc:
        raise ClosedPipeError from exc
    except OSError as exc:
        reason = exc.strerror or str(exc)
        raise PreflightError(f"stdout cannot be written: {reason}; send the results somewhere else") from exc


def settle_stdout() -> None:
    """Flush stdout, or drop what is left in it: Python flushes at exit and would complain a second time."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def can_print(text: str) -> bool:
    """Whether stdout's encoding has every character of `text`."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _open_null() -> IO[str]:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123
