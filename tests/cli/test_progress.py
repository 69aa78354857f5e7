"""The estimate is measured, or absent."""

from __future__ import annotations

import io
import sys

import pytest

from mmer_ray.cli.progress import MAX_MESSAGES, Pace, progress_display
from mmer_ray.runners.job import Progress


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_nothing_is_estimated_before_the_first_result() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.update(Progress(0.0, 3_600.0, 0, 100, 0))
    clock.now_s += 45

    assert (pace.speed_x, pace.left_s) == (None, None)
    assert pace.describe() == "0/100 recordings, 0.0 s of 1.0 h"


def test_speed_and_time_left_come_from_what_was_measured() -> None:
    clock = Clock()
    pace = Pace(clock)
    clock.now_s += 10
    pace.update(Progress(1_200.0, 3_600.0, 20, 100, 2))

    assert pace.speed_x == pytest.approx(120.0)
    assert pace.left_s == pytest.approx(20.0)
    assert pace.describe() == "about 20.0 s left, 20/100 recordings, 20 min 0 s of 1.0 h, 2 failed, 120.0 x real time"


def test_headers_that_promised_too_little_never_give_a_negative_time() -> None:
    clock = Clock()
    pace = Pace(clock)
    clock.now_s += 10
    pace.update(Progress(120.0, 100.0, 1, 2, 0))

    assert pace.left_s == 0.0


def test_only_the_first_failures_are_told_one_by_one() -> None:
    pace = Pace(Clock())

    told = [pace.update(Progress(0.0, 1.0, 0, 1, 1, f"failure {number}")) for number in range(MAX_MESSAGES + 3)]

    assert told[:MAX_MESSAGES] == [f"failure {number}" for number in range(MAX_MESSAGES)]
    assert told[MAX_MESSAGES:] == ["more recordings failed; `mmer status` lists them by code", None, None]


def test_without_a_terminal_a_line_comes_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = iter([False, False, True])
    stderr = io.StringIO()
    monkeypatch.setattr("threading.Event.wait", lambda *_: next(waits))
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr("threading.Thread", _InLine)

    with progress_display(enabled=True) as on_progress:
        assert on_progress is not None

    assert stderr.getvalue() == "starting\nstarting\n"


class _InLine:
    """A thread that does its work when it is joined."""

    def __init__(self, target: object, **_: object) -> None:
        assert callable(target)
        self._target = target

    def start(self) -> None:
        pass

    def join(self) -> None:
        self._target()
