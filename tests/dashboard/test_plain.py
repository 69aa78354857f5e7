"""Names within lines of ours."""

from __future__ import annotations

import pytest

from dashboard.plain import in_line


@pytest.mark.parametrize("text", ["", "call_0.wav", "<b>$x$</b> :red[a]", "Zoë, 日本", "\u200e"])
def test_ordinary_names_stay_as_they_are(text: str) -> None:
    assert in_line(text) == text


@pytest.mark.parametrize("code", [0, 9, 10, 0x1B, 0x7F, 0x85, *range(0x2028, 0x202F), *range(0x2066, 0x206A)])
def test_characters_that_turn_break_or_hide_are_written_out(code: int) -> None:
    assert in_line(f"a{chr(code)}b") == f"a\\u{code:04x}b"


def test_letters_that_run_from_right_to_left_are_isolated_from_what_stands_beside_them() -> None:
    hebrew, arabic = "\N{HEBREW LETTER SHIN}\N{HEBREW LETTER TAV}", "\N{ARABIC LETTER DAL}\N{ARABIC LETTER AIN}"
    assert in_line(f"{hebrew} 7") == f"\u2068{hebrew} 7\u2069"
    assert in_line(f"{arabic}\u2069\u202e") == f"\u2068{arabic}\\u2069\\u202e\u2069"
