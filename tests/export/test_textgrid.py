"""Praat's TextGrid: an exact small example, and what must hold of any tier."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from mmer_ray.export.textgrid import to_textgrid
from mmer_ray.records import Utterance, Word
from tests.export.makers import TALK, said, spoken

EXPECTED = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 2.000
tiers? <exists>
size = 3
item []:
    item [1]:
        class = "IntervalTier"
        name = "S1"
        xmin = 0
        xmax = 2.000
        intervals: size = 3
        intervals [1]:
            xmin = 0.000
            xmax = 0.500
            text = ""
        intervals [2]:
            xmin = 0.500
            xmax = 1.500
            text = "so what"
        intervals [3]:
            xmin = 1.500
            xmax = 2.000
            text = ""
    item [2]:
        class = "IntervalTier"
        name = "S1 words"
"""

_TIER = re.compile(r'name = "(.*)"\n(?:.*\n){2}.*size = (\d+)\n((?: {8}intervals .*\n(?: {12}.*\n)+)*)')
_INTERVAL = re.compile(r'xmin = (\S+)\n +xmax = (\S+)\n +text = "(.*)"\n')


def tiers(grid: str) -> dict[str, list[tuple[float, float, str]]]:
    """Name -> (start, end, text) of the intervals of each tier, as they stand in the file."""
    found = {}
    for name, size, body in _TIER.findall(grid):
        found[name] = [(float(start), float(end), text) for start, end, text in _INTERVAL.findall(body)]
        assert len(found[name]) == int(size)
    return found


def labelled(grid: str) -> dict[str, list[tuple[float, float, str]]]:
    """The same without the gaps."""
    return {name: [one for one in intervals if one[2]] for name, intervals in tiers(grid).items()}


def test_the_long_form_of_a_small_conversation() -> None:
    grid = to_textgrid([said(0.5, 1.5, "so what", label="neutral")], 2.0)

    assert grid.startswith(EXPECTED)
    assert labelled(grid) == {
        "S1": [(0.5, 1.5, "so what")],
        "S1 words": [(0.5, 1.0, "so"), (1.0, 1.5, "what")],
        "S1 emotion": [(0.5, 1.5, "neutral")],
    }


@pytest.mark.parametrize("talk", [TALK, [], [said(0, 4000, "to the end")], [said(1, 3, "a"), said(2, 4, "b")]])
def test_every_tier_covers_the_recording_without_overlaps(talk: list[Utterance]) -> None:
    grid = to_textgrid(talk, 4000.0)

    assert tiers(grid)
    for intervals in tiers(grid).values():
        assert (intervals[0][0], intervals[-1][1]) == (0.0, 4000.0)
        assert [end for _, end, _ in intervals[:-1]] == [start for start, _, _ in intervals[1:]]
        assert all(end > start for start, end, _ in intervals)


def test_what_overlaps_in_a_tier_goes_to_a_further_one() -> None:
    grid = to_textgrid([said(0, 4, "long"), said(1, 2, "first"), said(3, 5, "second")], 9.0)

    found = labelled(grid)
    assert (found["S1"], found["S1 (2)"]) == ([(0.0, 4.0, "long")], [(1.0, 2.0, "first"), (3.0, 5.0, "second")])


def test_speakers_come_in_the_order_in_which_they_speak() -> None:
    talk = [replace(spoken(5.0, ["b"]), speaker="S2"), spoken(0.0, ["a"])]

    assert list(tiers(to_textgrid(talk, 9.0))) == ["S1", "S1 words", "S2", "S2 words"]


def test_quotes_are_doubled_and_lines_joined() -> None:
    assert labelled(to_textgrid([said(0, 1, 'he said "no"\nand left')], 1.0))["S1"][0][2] == 'he said ""no"" and left'


def test_a_word_behind_the_end_of_the_recording_lengthens_the_grid() -> None:
    words = (Word("late", 1.0, 2.5, 1.0),)

    grid = to_textgrid([Utterance(1.0, 2.0, 0, "S1", "late", words)], 2.0)

    assert {intervals[-1][1] for intervals in tiers(grid).values()} == {2.5}
