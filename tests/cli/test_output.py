"""Nothing from a recording can act on a terminal or a spreadsheet."""

from __future__ import annotations

import json

import pytest

from mmer_ray.cli.output import clock, json_text, plain, print_csv, print_table, span

ATTACKS = ["\x1b]0;title\x07", "\x9b31m", "a\rb", "\u202etxt.exe", "\x7f", "\u2028", "\ud800"]


@pytest.mark.parametrize("text", ATTACKS)
def test_no_control_character_reaches_a_terminal(text: str) -> None:
    assert plain(text).isprintable()


def test_line_breaks_become_blanks_and_other_languages_stay() -> None:
    assert plain("grüße\n\t\u4f60\u597d") == "grüße \u4f60\u597d"


@pytest.mark.parametrize("text", ATTACKS)
def test_json_keeps_every_character_as_an_escape(text: str) -> None:
    shown = json_text({"text": text})

    assert json.loads(shown) == {"text": text}
    assert shown.replace("\n", "").isprintable()


def test_json_has_no_nan() -> None:
    assert json.loads(json_text({"a": [float("nan"), 1.5], "b": float("inf")})) == {"a": [None, 1.5], "b": None}


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_text_that_a_spreadsheet_would_run_is_quoted_in_csv(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_csv(["a"], [[text]])

    assert capsys.readouterr().out.splitlines()[1].startswith("'")


def test_numbers_in_csv_stay_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    print_csv(["n", "x", "t"], [[-1, -0.5, None], [1, 2.0, 'a "b", c\nd']])

    assert capsys.readouterr().out == 'n,x,t\n-1,-0.5,\n1,2.0,"a ""b"", c d"\n'


@pytest.mark.parametrize(
    ("time_s", "text"), [(0, "0:00"), (59.99, "0:59"), (245, "4:05"), (3_723, "1:02:03"), (36_000, "10:00:00")]
)
def test_clock_reads_like_a_players(time_s: float, text: str) -> None:
    assert clock(time_s) == text


@pytest.mark.parametrize(("time_s", "text"), [(4.2, "4.2 s"), (185, "3 min 5 s"), (9_000, "2.5 h")])
def test_span_takes_the_unit_that_reads_best(time_s: float, text: str) -> None:
    assert span(time_s) == text


def test_tables_have_numbers_on_the_right_and_words_on_the_left(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["n", "share", "at", "word"], [[1, "5 %", "0:04", "one"], [200, "50 %", "-", None]])

    assert capsys.readouterr().out.splitlines() == [
        "  n  share    at  word",
        "  1    5 %  0:04  one ",
        "200   50 %     -      ",
    ]
