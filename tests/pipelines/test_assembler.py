"""Clips out of windows, however a recording is cut into them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmer_ray.audio.pcm import to_float
from mmer_ray.pipelines.assembler import KnownUtterances, Question, RecordingAssembler, key_of
from mmer_ray.records import SAMPLES_PER_MS, Clip, ScoredRecording, Turn, Utterance, Window
from mmer_ray.stages.emotion import MARGIN_MS
from tests.stages.makers import CALL, facts

DURATION_MS = 40_000
CHANNEL = np.random.default_rng(0).integers(-9_000, 9_000, DURATION_MS * SAMPLES_PER_MS + 7).astype(np.int16)
"""A recording need not end on a whole millisecond."""
DURATION_S = len(CHANNEL) / 16_000
VOICES = ([1.0, 0.0], [0.0, 1.0])
Spoken = tuple[int, int, int]
"""Start and end in ms, and who speaks."""


def cut_windows(borders_ms: Sequence[int], spoken: Sequence[Spoken], *, one_speaker: bool = False) -> list[Window]:
    """The windows of the channel, heard: an utterance that lies over a border is two."""
    windows: list[Window] = []
    for index, (begin_ms, end_ms) in enumerate(pairwise([0, *borders_ms, DURATION_MS])):
        inside = [(max(a, begin_ms), min(b, end_ms), who) for a, b, who in spoken if a < end_ms and b > begin_ms]
        people = [0] if one_speaker else sorted({who for *_, who in inside})
        end_sample = len(CHANNEL) if end_ms == DURATION_MS else end_ms * SAMPLES_PER_MS
        windows.append(
            Window(
                CALL,
                index,
                0,
                begin_ms / 1000,
                end_sample / 16_000,
                CHANNEL[begin_ms * SAMPLES_PER_MS : end_sample],
                one_speaker,
                tuple(Turn(a / 1000, b / 1000, people.index(0 if one_speaker else who)) for a, b, who in inside),
                () if one_speaker else tuple(np.array(VOICES[who], dtype=np.float32) for who in people),
                tuple(
                    Utterance(a / 1000, b / 1000, 0, f"W{index}:{0 if one_speaker else people.index(who)}", f"{a}-{b}")
                    for a, b, who in inside
                ),
            )
        )
    return windows


def assemble(
    windows: Sequence[Window], *, reads_dialogue: bool = False
) -> tuple[ScoredRecording, list[Question], list[Question], float]:
    """What was joined, what was asked at once and at the end, and the most seconds that waited in between."""
    assembler = RecordingAssembler(CALL, 0.25, reads_dialogue)
    early: list[Question] = []
    most_s = 0.0
    for window in windows:
        early += assembler.add(window)
        most_s = max(most_s, assembler.held_s)
    joined, late = assembler.close(facts(DURATION_S))
    return joined, early, late, most_s


def clips_of(questions: Sequence[Question]) -> dict[object, Clip]:
    return {key: clip for one in questions for key, clip in zip(one.keys, one.clips, strict=True)}


def whole_clip(utterance: Utterance) -> np.ndarray:
    """The definition: a tenth of a second on either side, cut at the channel's ends alone."""
    begin, end = (round(utterance.start_s * 1000) - 100) * 16, (round(utterance.end_s * 1000) + 100) * 16
    return to_float(CHANNEL[max(begin, 0) : end])


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[int], list[Spoken]]:
    """Window borders on the grid of 10 ms, many of them near speech, and utterances that do not overlap."""
    edges = sorted(draw(st.sets(st.integers(0, DURATION_MS), min_size=2, max_size=16)))
    spoken = [(a, b, draw(st.integers(0, 1))) for a, b in zip(edges[::2], edges[1::2], strict=False)]
    near = st.sampled_from(edges).flatmap(lambda edge: st.integers(edge - 600, edge + 600))
    borders = draw(st.sets(st.one_of(near, st.integers(0, DURATION_MS)), max_size=5))
    # The cutter's windows last 5 s and more; a clip's margin reaches into the next window, never beyond it.
    on_grid = [0]
    for border in sorted(border // 10 * 10 for border in borders):
        if border - on_grid[-1] >= MARGIN_MS and DURATION_MS - border >= MARGIN_MS:
            on_grid.append(border)
    return on_grid[1:], spoken


@given(conversations(), st.booleans(), st.randoms(use_true_random=False))
def test_every_clip_is_that_stretch_of_the_whole_channel_however_it_is_cut(
    conversation: tuple[list[int], list[Spoken]], one_speaker: bool, rng: random.Random
) -> None:
    windows = cut_windows(*conversation, one_speaker=one_speaker)
    rng.shuffle(windows)
    joined, early, late, _ = assemble(windows)
    clips = clips_of([*early, *late])
    assert {key_of(one) for one in joined.utterances} == set(clips), "each is asked about, and nothing else"
    for one in joined.utterances:
        assert np.array_equal(clips[key_of(one)].samples, whole_clip(one))


@given(conversations(), st.booleans())
def test_the_rows_alone_give_back_the_same_clips_in_the_same_dialogues(
    conversation: tuple[list[int], list[Spoken]], reads_dialogue: bool
) -> None:
    windows = cut_windows(*conversation)
    joined, early, late, _ = assemble(windows, reads_dialogue=reads_dialogue)
    known = KnownUtterances(joined.utterances, reads_dialogue)
    again = [question for window in windows for question in known.add(window)] + known.close()
    assert {one.keys for one in again} == {one.keys for one in (*early, *late)}
    clips, clips_again = clips_of([*early, *late]), clips_of(again)
    for key, clip in clips.items():
        assert np.array_equal(clip.samples, clips_again[key].samples)
        assert clip._replace(speaker=None)[1:] == clips_again[key]._replace(speaker=None)[1:]
    # A speaker has the window's name at first and the recording's afterwards; who shares one in a dialogue is equal.
    for question in (*early, *late):
        for one, other in product(question.keys, repeat=2):
            together = clips[one].speaker == clips[other].speaker
            assert together == (clips_again[one].speaker == clips_again[other].speaker)


def test_an_utterance_inside_a_window_is_asked_about_at_once() -> None:
    windows = cut_windows([20_000], [(1_000, 3_000, 0), (19_000, 21_000, 0), (30_000, 31_000, 0)])
    assembler = RecordingAssembler(CALL, 0.25, False)
    assert [one.clips[0].text for one in assembler.add(windows[0])] == ["1000-3000"]
    assert [one.clips[0].text for one in assembler.add(windows[1])] == ["30000-31000"]
    joined, late = assembler.close(facts(DURATION_S))
    assert [one.clips[0].text for one in late] == ["19000-20000 20000-21000"]
    assert len(joined.utterances) == 3


def test_a_whole_utterance_near_a_border_waits_for_the_next_window_and_no_longer() -> None:
    windows = cut_windows([20_000], [(18_000, 19_950, 0), (25_000, 26_000, 0)])
    assembler = RecordingAssembler(CALL, 0.25, False)
    assert assembler.add(windows[0]) == []
    questions = assembler.add(windows[1])
    assert [one.clips[0].text for one in questions] == ["25000-26000", "18000-19950"]
    assert np.array_equal(questions[1].clips[0].samples, to_float(CHANNEL[17_900 * 16 : 20_050 * 16]))


def test_halves_of_two_people_stay_two_and_each_keeps_its_margin_across_the_border() -> None:
    joined, early, late, _ = assemble(cut_windows([20_000], [(18_000, 20_000, 0), (20_000, 22_000, 1)]))
    assert [(one.speaker, one.text) for one in joined.utterances] == [("S1", "18000-20000"), ("S2", "20000-22000")]
    assert early == []
    assert [len(one.clips[0].samples) for one in late] == [2_200 * 16, 2_200 * 16]


@pytest.mark.parametrize("order", [1, -1])
def test_at_most_half_a_minute_on_either_side_of_a_border_is_held(order: int) -> None:
    # One breath over the only border: the most that a join can need.
    windows = cut_windows([20_000], [(4_000, 20_000, 0), (20_000, 33_000, 0)])[::order]
    _, early, late, most_s = assemble(windows)
    assert (len(early), len(late)) == (0, 1)
    assert most_s <= 61.2
    quiet = cut_windows([10_000, 20_000, 30_000], [(14_000, 15_000, 0)])
    assert assemble(quiet[::order])[3] <= 0.4 + 1e-9


def test_an_utterance_without_sound_is_asked_about_with_an_empty_clip() -> None:
    known = KnownUtterances([Utterance(1.0, 2.0, 1, "S1", "on a channel that is not there")], False)
    assert known.add(cut_windows([], [])[0]) == []
    (question,) = known.close()
    assert len(question.clips[0].samples) == 0
