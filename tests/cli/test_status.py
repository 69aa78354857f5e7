"""`mmer status` on a lake made by the writer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from mmer_ray.cli.status import _balance
from mmer_ray.lake.ledger import Ledger
from tests.cli.makers import Ended

Mmer = Callable[..., Ended]


def test_the_ledger_is_shown_and_sums(mmer: Mmer, lake: Path) -> None:
    ended = mmer("status", "--lake", lake)

    assert ended.code == 0
    assert "5 recordings: 4 scored, 1 failed" in ended.out
    assert "the ledger sums (difference 0.000 s)" in ended.out
    assert "scored 3,618.0 s = speech" in ended.out


def test_failures_stand_by_code_with_an_example_and_the_command_that_lists_them(mmer: Mmer, lake: Path) -> None:
    out = mmer("status", "--lake", lake).out

    (line,) = [line for line in out.splitlines() if "corrupt_header" in line]
    assert line.split()[:3] == ["1", "corrupt_header", "decode"]
    assert line.endswith("broken.wav")
    assert f'mmer query --lake {lake} "SELECT uri, error_code' in out


def test_the_command_that_lists_failures_works(mmer: Mmer, lake: Path) -> None:
    out = mmer("status", "--lake", lake).out
    (sql,) = [line.split('"')[1] for line in out.splitlines() if line.lstrip().startswith("mmer query")]

    assert "no samples in" in mmer("query", "--lake", lake, sql).out


def test_runs_have_a_line_each(mmer: Mmer, lake: Path) -> None:
    line = mmer("status", "--lake", lake).out.splitlines()[-1].split()

    assert line[1] == "finished"
    assert line[4:9] == ["test", "5", "4", "0", "1"]


def test_json_is_one_document(mmer: Mmer, lake: Path) -> None:
    document = json.loads(mmer("status", "--lake", lake, "--json").out)

    assert document["schema"] == "mmer.status/1"
    assert document["ledger"]["scored_s"] == 3_618.0
    assert [failure["error_code"] for failure in document["failures"]] == ["corrupt_header"]
    assert document["runs"][0]["status"] == "finished"


def test_a_ledger_that_does_not_sum_is_said_loudly() -> None:
    text, style = _balance(Ledger(planned_ms=10_000, scored_ms=9_000, speech_ms=9_000))

    assert text == "  the ledger does not sum: 1.000 s are missing or counted twice"
    assert style == "red"
