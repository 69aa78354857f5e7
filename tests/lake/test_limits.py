"""Queries that would take everything are refused, with the limit and how to raise it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmer_ray.errors import UsageError
from mmer_ray.lake.limits import QueryLimits
from mmer_ray.lake.queries import LakeReader, open_lake
from mmer_ray.lake.store import Lake
from tests.lake.makers import audio_file, job, listing

ENDLESS = "SELECT sum(a.range * b.range) FROM range(1000000) AS a, range(1000000) AS b, range(1000000) AS c"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("limits")
    audio_file(folder / "audio", "a.wav")
    lake = Lake(folder / "lake")
    job(lake, listing(folder / "audio"))
    return lake.address


ENOUGH_S = 600.0
"""For what must end by another limit, on a busy machine too."""


@pytest.fixture
def reader(address: str) -> Iterator[LakeReader]:
    limits = QueryLimits(max_rows=1_000, timeout_s=ENOUGH_S, memory_mb=200, threads=1)
    with open_lake(address, limits=limits) as reader:
        yield reader


@pytest.fixture
def hasty(address: str) -> Iterator[LakeReader]:
    """A reader whose queries may take a second."""
    with open_lake(address, limits=QueryLimits(timeout_s=1.0, memory_mb=1_000, threads=1)) as reader:
        yield reader


@pytest.mark.parametrize(
    ("query", "limit"),
    [
        ("FROM range(1001)", "more than 1,000 rows; .*mmer query --max-rows"),
        ("FROM range(100000000000)", "more than 1,000 rows"),
        ("SELECT a.range FROM range(100000) AS a, range(100000) AS b", "more than 1,000 rows"),
        ("SELECT list(range) FROM range(1000000000)", "more than 200 MB of memory; .*--memory-mb"),
        ("SELECT string_agg(repeat('x', 1000000), ',') FROM range(100000)", "more than 200 MB of memory"),
        ("SELECT repeat('x', 1000000) FROM range(1000)", "more than 200 MB of memory"),
        ("SELECT range FROM range(1000000000) ORDER BY hash(range)", "more than 200 MB of memory"),
        ("SELECT repeat('x', 5000000000)", "cannot be answered"),
        ("SELECT range(100000000000)", "cannot be answered"),
    ],
)
def test_what_takes_too_much_room_is_cut_off_and_says_which_limit(query: str, limit: str, reader: LakeReader) -> None:
    with pytest.raises(UsageError, match=limit):
        reader.sql(query)
    assert reader.sql("FROM recordings").num_rows == 1, "the reader goes on"


@pytest.mark.parametrize(
    "query",
    [
        ENDLESS,
        f"EXPLAIN ANALYZE {ENDLESS}",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t",
    ],
)
def test_what_takes_too_long_is_cut_off_and_says_which_limit(query: str, hasty: LakeReader) -> None:
    with pytest.raises(UsageError, match=r"stopped after 1 s; .*--timeout-s"):
        hasty.sql(query)
    assert hasty.rows("SELECT count(*) AS num FROM recordings", {}) == [{"num": 1}], "the reader goes on"


def test_as_many_rows_as_are_allowed_are_given(reader: LakeReader) -> None:
    assert reader.sql("FROM range(1000)").num_rows == 1_000
    assert reader.sql("FROM range($n)", {"n": 1_000}).num_rows == 1_000
    with pytest.raises(UsageError, match="more than 1,000 rows"):
        reader.sql("FROM range($n)", {"n": 1_001})


def test_the_end_of_one_query_is_not_that_of_another(hasty: LakeReader) -> None:
    """The time of one query is over; others, which run beside it, go on."""
    failures: list[str] = []

    def endless() -> None:
        try:
            hasty.sql(ENDLESS)
        except UsageError as exc:
            failures.append(str(exc))

    thread = threading.Thread(target=endless)
    thread.start()
    while thread.is_alive():
        assert hasty.rows("SELECT count(*) AS num FROM utterances", {})
    assert len(failures) == 1
    assert "stopped after 1 s" in failures[0]


def test_memory_and_threads_are_those_of_the_limits_and_cannot_be_changed(reader: LakeReader) -> None:
    (row,) = reader.sql(
        "SELECT current_setting('threads') AS threads, current_setting('memory_limit') AS m"
    ).to_pylist()
    assert (row["threads"], row["m"]) == (1, "190.7 MiB")
    with pytest.raises(UsageError, match="SET is refused"):
        reader.sql("SET memory_limit = '8GB'")


def test_nothing_is_spilled_to_a_disk(reader: LakeReader) -> None:
    assert reader.sql("SELECT current_setting('temp_directory') AS t").to_pylist() == [{"t": ""}]


def test_a_lake_that_does_not_fit_the_memory_says_so(address: str) -> None:
    with (
        pytest.raises(UsageError, match="more than 1 MB of memory"),
        open_lake(address, limits=QueryLimits(memory_mb=1)),
    ):
        pass


@pytest.fixture
def heeds_interrupts() -> Iterator[None]:
    """A shell starts what runs in the background with interrupts ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_interrupts")
@pytest.mark.parametrize("delay_s", [0.01, 0.02, 0.05, 0.1, 0.2, 0.5])
def test_an_interrupt_by_the_user_is_heeded_at_once_and_is_not_a_limit(address: str, delay_s: float) -> None:
    timer = threading.Timer(delay_s, os.kill, [os.getpid(), signal.SIGINT])
    with open_lake(address, limits=QueryLimits(timeout_s=60)) as reader:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            reader.sql(ENDLESS)
        timer.join()


def test_the_refusals_leave_no_file(reader: LakeReader, address: str) -> None:
    before = sorted(Path(address).rglob("*"))
    with pytest.raises(UsageError):
        reader.sql("SELECT range FROM range(1000000000) ORDER BY hash(range)")
    assert sorted(Path(address).rglob("*")) == before
