"""How far a job is, on stderr: a bar by audio seconds on a terminal, else a line about every 30 seconds.

The time left comes from what this run has measured since it began, start-up included, so it is too high at first and
never flattering. Before the first recording is finished nothing is measured and nothing is said.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
from rich.progress import Progress as Bar
from rich.table import Column
from rich.text import Text

from mmer_ray.cli.console import notes
from mmer_ray.cli.output import note, plain, span

if TYPE_CHECKING:
    from mmer_ray.runners.job import Progress

LINE_EVERY_S = 30.0
MAX_MESSAGES = 20
"""Failures told while the job runs; a corpus with thousands is read from the lake."""

OnProgress = Callable[["Progress"], None]


@contextmanager
def progress_display(enabled: bool) -> Iterator[OnProgress | None]:
    """What to call with each `Progress`; None when nothing shall be shown."""
    if not enabled:
        yield None
    elif sys.stderr.isatty():
        with _bar() as on_progress:
            yield on_progress
    else:
        with _lines() as on_progress:
            yield on_progress


class Pace:
    """The latest progress and what it says about the time left."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began_s = clock()
        self._num_messages = 0
        self.latest: Progress | None = None

    def update(self, progress: Progress) -> str | None:
        """Take note; returns the line to tell, if there is one."""
        self.latest = progress
        if not progress.message:
            return None
        self._num_messages += 1
        if self._num_messages == MAX_MESSAGES + 1:
            return "more recordings failed; `mmer status` lists them by code"
        return progress.message if self._num_messages <= MAX_MESSAGES else None

    @property
    def speed_x(self) -> float | None:
        """Seconds of audio per second of wall time; None before the first result."""
        elapsed_s = self._clock() - self._began_s
        if self.latest is None or self.latest.done_s <= 0 or elapsed_s <= 0:
            return None
        return self.latest.done_s / elapsed_s

    @property
    def left_s(self) -> float | None:
        """Wall seconds still to go at this speed; None before the first result."""
        speed_x = self.speed_x
        if speed_x is None or self.latest is None:
            return None
        return max(self.latest.total_s - self.latest.done_s, 0.0) / speed_x

    def describe(self) -> str:
        """One line, what matters most first: a narrow terminal cuts its end."""
        latest = self.latest
        if latest is None:
            return "starting"
        parts = [] if self.left_s is None else [f"about {span(self.left_s)} left"]
        parts += [
            f"{latest.num_done}/{latest.num_total} recordings",
            f"{span(latest.done_s)} of {span(latest.total_s)}",
        ]
        parts += [f"{latest.num_failed} failed"] if latest.num_failed else []
        parts += [] if self.speed_x is None else [f"{self.speed_x:.1f} x real time"]
        return ", ".join(parts)


@contextmanager
def _lines() -> Iterator[OnProgress]:
    pace, ended = Pace(), threading.Event()

    def on_progress(progress: Progress) -> None:
        if line := pace.update(progress):
            note(line)

    def report() -> None:
        while not ended.wait(LINE_EVERY_S):
            note(pace.describe())

    reporter = threading.Thread(target=report, name="progress", daemon=True)
    reporter.start()
    try:
        yield on_progress
    finally:
        ended.set()
        reporter.join()


class _PaceColumn(ProgressColumn):
    def __init__(self, pace: Pace) -> None:
        super().__init__(table_column=Column(no_wrap=True, ratio=1))
        self._pace = pace

    def render(self, task: Task) -> Text:
        return Text(self._pace.describe())


@contextmanager
def _bar() -> Iterator[OnProgress]:
    pace = Pace()
    with Bar(
        TextColumn("scoring"), BarColumn(bar_width=20), _PaceColumn(pace), console=notes(), transient=True, expand=True
    ) as bar:
        task = bar.add_task("scoring", total=None)

        def on_progress(progress: Progress) -> None:
            line = pace.update(progress)
            bar.update(task, completed=progress.done_s, total=progress.total_s or None)
            if line:
                bar.console.print(plain(line))

        yield on_progress
