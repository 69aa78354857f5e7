"""Plain text: a line per utterance."""

from __future__ import annotations

from mmer_ray.export.plain_text import to_text
from tests.export.makers import TALK, said


def test_each_utterance_is_a_line_in_order_of_time() -> None:
    assert to_text([TALK[1], TALK[0]]) == 'S1: hello there\nS2: so "what" now\n'


def test_a_text_with_line_breaks_stays_one_line() -> None:
    assert to_text([said(0, 1, "a\nS2: b", "S 1")]) == "S 1: a S2: b\n"
