"""Queries that would take everything are refused, with the limit and how to raise it."""

from __future__ import annotations

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


@pytest.fixture
def reader(address: str) -> Iterator[LakeReader]:
    limits = QueryLimits(max_rows=1_000, timeout_s=2.0, memory_mb=200, threads=1)
    with open_lake(address, limits=limits) as reader:
        yield reader


@pytest.mark.parametrize(
    ("query", "limit"),
    [
        ("FROM range(1001)", "more than 1,000 rows; .*--max-rows"),
        ("FROM range(100000000000)", "more than 1,000 rows"),
        ("SELECT a.range FROM range(100000) AS a, range(100000) AS b", "more than 1,000 rows"),
        (ENDLESS, "stopped after 2 s; .*--timeout-s"),
        (f"EXPLAIN ANALYZE {ENDLESS}", "stopped after 2 s"),
        ("WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t", "stopped after 2 s"),
        ("SELECT list(range) FROM range(1000000000)", "more than 200 MB of memory; .*--memory-mb"),
        ("SELECT range FROM range(1000000000) ORDER BY hash(range)", "more than 200 MB of memory|stopped after 2 s"),
        ("SELECT string_agg(repeat('x', 1000000), ',') FROM range(100000)", "more than 200 MB of memory"),
        ("SELECT repeat('x', 1000000) FROM range(1000)", "more than 200 MB of memory"),
        ("SELECT repeat('x', 5000000000)", "cannot be answered"),
        ("SELECT range(100000000000)", "cannot be answered"),
    ],
)
def test_what_takes_too_much_is_cut_off_and_says_which_limit(query: str, limit: str, reader: LakeReader) -> None:
    with pytest.raises(UsageError, match=limit):
        reader.sql(query)
    assert reader.sql("FROM recordings").num_rows == 1, "the reader goes on"


def test_as_many_rows_as_are_allowed_are_given(reader: LakeReader) -> None:
    assert reader.sql("FROM range(1000)").num_rows == 1_000
    assert reader.sql("FROM range($n)", {"n": 1_000}).num_rows == 1_000
    with pytest.raises(UsageError, match="more than 1,000 rows"):
        reader.sql("FROM range($n)", {"n": 1_001})


def test_one_thread_cannot_end_the_query_of_another(reader: LakeReader) -> None:
    """The time of one query is over; the other one, which runs beside it, goes on."""
    failures: list[str] = []

    def endless() -> None:
        try:
            reader.sql(ENDLESS)
        except UsageError as exc:
            failures.append(str(exc))

    thread = threading.Thread(target=endless)
    thread.start()
    while thread.is_alive():
        assert reader.sql("SELECT count(*) AS num FROM utterances").num_rows == 1
    assert len(failures) == 1
    assert "stopped after 2 s" in failures[0]


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


def test_an_interrupt_by_the_user_is_not_a_limit(reader: LakeReader) -> None:
    timer = threading.Timer(0.5, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        reader.sql(ENDLESS)
    timer.join()


def test_the_refusals_leave_no_file(reader: LakeReader, address: str) -> None:
    before = sorted(Path(address).rglob("*"))
    with pytest.raises(UsageError):
        reader.sql("SELECT range FROM range(1000000000) ORDER BY hash(range)")
    assert sorted(Path(address).rglob("*")) == before
