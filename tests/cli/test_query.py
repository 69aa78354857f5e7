"""`mmer query` on a lake made by the writer."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.makers import HOSTILE, Ended

Mmer = Callable[..., Ended]


def test_a_table_has_a_header_and_a_line_per_row(mmer: Mmer, lake: Path) -> None:
    sql = "SELECT parse_filename(uri) AS file, status, duration_ms FROM recordings ORDER BY file LIMIT 2"

    ended = mmer("query", "--lake", lake, sql)

    assert ended.code == 0
    assert [line.split() for line in ended.out.splitlines()] == [
        ["file", "status", "duration_ms"],
        ["broken.wav", "failed"],
        ["call.opus", "scored", "10000"],
    ]


def test_csv_is_safe_to_open_in_a_spreadsheet(mmer: Mmer, lake: Path) -> None:
    sql = "SELECT text, start_ms FROM utterances JOIN recordings USING (recording_id) WHERE uri LIKE '%hostile%'"

    rows = list(csv.reader(mmer("query", "--lake", lake, "-f", "csv", f"{sql} ORDER BY start_ms").out.splitlines()))

    assert rows[0] == ["text", "start_ms"]
    assert rows[1][0].isprintable()
    assert rows[2] == ["'=1+1", "3000"]


def test_json_is_lossless_and_its_columns_are_distinct(mmer: Mmer, lake: Path) -> None:
    sql = "SELECT text, 1 AS n, 2 AS n, MAP {'a': 0.5} AS m, date '2026-11-21' AS d FROM utterances"

    document = json.loads(mmer("query", "--lake", lake, "--format", "json", f"{sql} WHERE text LIKE 'red%'").out)

    assert document["schema"] == "mmer.query/1"
    assert document["columns"] == ["text", "n", "n_2", "m", "d"]
    assert document["rows"] == [{"text": HOSTILE, "n": 1, "n_2": 2, "m": {"a": 0.5}, "d": "2026-11-21"}]


def test_sums_and_averages_are_numbers_in_json(mmer: Mmer, lake: Path) -> None:
    sql = "SELECT sum(duration_ms) AS total, avg(num_speakers) AS mean FROM recordings"

    assert json.loads(mmer("query", "--lake", lake, "-f", "json", sql).out)["rows"] == [
        {"total": 3_618_000, "mean": 1.25}
    ]


def test_a_table_prints_the_first_rows_of_many_and_says_so(mmer: Mmer, lake: Path) -> None:
    ended = mmer("query", "--lake", lake, "SELECT range AS n FROM range(1000)")

    assert len(ended.out.splitlines()) == 201
    assert "the first 200 of 1,000 rows" in ended.err
    assert len(mmer("query", "--lake", lake, "-f", "csv", "SELECT * FROM range(1000)").out.splitlines()) == 1001


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("DELETE FROM recordings", "read-only"),
        ("SELECT nothing FROM recordings", "nothing"),
        ("SELECT 1; SELECT 2", "2"),
    ],
)
def test_what_cannot_be_answered_ends_with_2_and_the_reason(mmer: Mmer, lake: Path, sql: str, reason: str) -> None:
    ended = mmer("query", "--lake", lake, sql)

    assert (ended.code, ended.out) == (2, "")
    assert reason in ended.err


def test_no_rows_are_an_answer_in_every_format(mmer: Mmer, lake: Path) -> None:
    sql = "SELECT uri FROM recordings WHERE false"

    assert mmer("query", "--lake", lake, sql).out.strip() == "uri"
    assert mmer("query", "--lake", lake, "-f", "csv", sql).out == "uri\n"
    assert json.loads(mmer("query", "--lake", lake, "-f", "json", sql).out)["rows"] == []


@pytest.mark.parametrize(
    ("options", "sql", "why"),
    [
        (("--max-rows", 9), "FROM range(10)", "more than 9 rows"),
        (
            ("--timeout-s", 0.5),
            "SELECT sum(a.range) FROM range(1000000000) AS a, range(1000000000)",
            "stopped after 0.5 s",
        ),
        (("--memory-mb", 100), "SELECT list(range) FROM range(1000000000)", "more than 100 MB"),
    ],
)
def test_limits_are_those_of_the_options(
    mmer: Mmer, lake: Path, options: tuple[object, ...], sql: str, why: str
) -> None:
    ended = mmer("query", "--lake", lake, *options, sql)

    assert (ended.code, ended.out) == (2, "")
    assert why in ended.err
    assert str(options[0]) in ended.err


def test_reading_only_is_the_only_way(mmer: Mmer, lake: Path) -> None:
    sql = "SELECT 1 AS one"

    assert mmer("query", "--lake", lake, "--readonly", sql).out == mmer("query", "--lake", lake, sql).out
    assert mmer("query", "--lake", lake, "--no-readonly", sql).code == 2
