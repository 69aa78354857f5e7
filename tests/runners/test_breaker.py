"""When a run is ended because its recordings fail for one reason."""

from __future__ import annotations

import pytest

from mmer_ray.errors import ErrorCode, SystematicFailureError
from mmer_ray.runners.breaker import NUM_FIRST, WINDOW, CircuitBreaker


def count(breaker: CircuitBreaker, *codes: ErrorCode | None) -> None:
    for code in codes:
        breaker.count(code, None if code is None else f"why {code}")


def test_first_recordings_that_all_fail_as_internal_end_the_run() -> None:
    breaker = CircuitBreaker()
    count(breaker, *[ErrorCode.INTERNAL] * (NUM_FIRST - 1))
    with pytest.raises(
        SystematicFailureError, match=r"20 of the first 20 recordings.*20 of them as internal: why internal"
    ):
        count(breaker, ErrorCode.INTERNAL)


def test_one_good_recording_among_the_first_lets_the_run_go_on() -> None:
    count(CircuitBreaker(), None, *[ErrorCode.INTERNAL] * (WINDOW // 2 - 1))


def test_half_of_any_later_window_ends_the_run() -> None:
    breaker = CircuitBreaker()
    count(breaker, *[None] * 1_000, *[ErrorCode.IO_ERROR] * (WINDOW // 2 - 1))
    with pytest.raises(SystematicFailureError, match="100 of the last 200 recordings"):
        count(breaker, ErrorCode.IO_ERROR)


def test_failures_that_are_spread_thin_do_not_add_up() -> None:
    count(CircuitBreaker(), *[None, None, ErrorCode.IO_ERROR] * 1_000)


def test_bad_files_never_end_a_run_however_many() -> None:
    count(CircuitBreaker(), *[ErrorCode.UNRECOGNISED, ErrorCode.EMPTY_FILE, ErrorCode.TOO_LONG] * 200)


def test_files_that_may_not_be_read_end_a_run_only_if_all_the_first_are_so() -> None:
    count(CircuitBreaker(), None, *[ErrorCode.PERMISSION] * 500)
    with pytest.raises(SystematicFailureError, match="permission"):
        count(CircuitBreaker(), *[ErrorCode.PERMISSION] * NUM_FIRST)


def test_the_reason_is_the_most_frequent_code_with_its_first_message() -> None:
    breaker = CircuitBreaker()
    breaker.count(ErrorCode.INTERNAL, "first")
    with pytest.raises(SystematicFailureError, match="as internal: first"):
        count(breaker, *[ErrorCode.INTERNAL] * 14, *[ErrorCode.WORKER_CRASH] * 5)
