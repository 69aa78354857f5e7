"""Trying the lake's store again."""

from __future__ import annotations

import pytest

from mmer_ray.errors import StoreError
from mmer_ray.runners.store_retry import WAITS_S, StoreRetry


def test_each_wait_is_longer_and_all_together_are_minutes_at_most() -> None:
    assert list(WAITS_S) == sorted(set(WAITS_S))
    assert sum(WAITS_S) < 180


def test_a_store_that_comes_back_gives_its_answer() -> None:
    answers = iter([OSError("away"), StoreError("away"), "here"])

    def work() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert StoreRetry((1.0, 2.0, 3.0), sleep=lambda _: None).call(work) == "here"


def test_the_last_error_is_named_with_the_remedy() -> None:
    def work() -> None:
        raise OSError("no space left on device")

    with pytest.raises(StoreError, match=r"no space left on device.*committed is intact.*run the same command again"):
        StoreRetry((1.0,), sleep=lambda _: None).call(work)


def test_a_bug_is_not_tried_again() -> None:
    waits: list[float] = []
    with pytest.raises(ZeroDivisionError):
        StoreRetry((1.0,), sleep=waits.append).call(lambda: 1 // 0)
    assert waits == []
