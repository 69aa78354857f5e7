"""Frames lie where their timestamps say, within what a file can justify."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from mmer_ray.audio.timeline import MAX_SILENCE_S, Timeline

FRAME_S = 0.02


def times(*spans: tuple[float, float]) -> list[float]:
    """Timestamps of frames that fill each span from start to end."""
    return [start + FRAME_S * index for start, end in spans for index in range(round((end - start) / FRAME_S))]


def placed(timestamps_s: Iterable[float], timeline: Timeline | None = None) -> tuple[float, float, Timeline]:
    """Seconds of sound kept and of silence put in."""
    timeline = timeline or Timeline(0.0, 1 << 20, None)
    placements = [timeline.place(timestamp_s, FRAME_S) for timestamp_s in timestamps_s]
    kept_s = sum(FRAME_S - placement.repeated_s for placement in placements)
    return kept_s, sum(placement.silence_s for placement in placements), timeline


def test_a_late_start_and_a_hole_become_silence() -> None:
    kept_s, silence_s, timeline = placed(times((10, 12), (20, 21)))
    assert (kept_s, silence_s, timeline.position_s) == pytest.approx((3, 18, 21))
    assert not timeline.was_reset


def test_a_file_whose_clock_starts_elsewhere_begins_at_its_own_origin() -> None:
    _, silence_s, timeline = placed(times((3_600, 3_602)), Timeline(3_600.0, 1 << 20, None))
    assert (silence_s, timeline.position_s) == pytest.approx((0, 2))


def test_priming_rounding_jitter_and_drift_move_nothing() -> None:
    for timestamps_s in (
        [time_s - 0.1 for time_s in times((0, 5))],
        [time_s + 0.1 for time_s in times((0, 5))],
        [round(time_s, 3) for time_s in times((0, 5))],
        [time_s + (0.06 if index % 7 == 0 else 0.0) for index, time_s in enumerate(times((0, 5)))],
        [1.09 * time_s for time_s in times((0, 20))],
        [0.91 * time_s for time_s in times((0, 20))],
    ):
        kept_s, silence_s, _ = placed(timestamps_s)
        assert (kept_s, silence_s) == pytest.approx((FRAME_S * len(timestamps_s), 0))


def test_lost_packets_add_up_to_a_hole() -> None:
    _, silence_s, timeline = placed([time_s for index, time_s in enumerate(times((0, 20))) if index % 10])
    assert timeline.position_s == pytest.approx(20, abs=0.2)
    assert silence_s == pytest.approx(2, abs=0.2)


def test_overlapping_segments_do_not_double_their_sound() -> None:
    kept_s, silence_s, timeline = placed(times((0, 10), (6, 16)))
    assert (kept_s, silence_s, timeline.position_s) == pytest.approx((16, 0, 16))


def test_a_frame_that_overlaps_is_cut_where_the_sound_before_it_ends() -> None:
    timeline = Timeline(0.0, 1 << 20, None)
    assert timeline.place(0.0, 3.0).repeated_s == 0
    assert timeline.place(2.0, 3.0).repeated_s == pytest.approx(1.0)


def test_a_packet_that_comes_twice_is_heard_once() -> None:
    kept_s, _, _ = placed([time_s for time_s in times((0, 5)) for _ in range(2)])
    assert kept_s == pytest.approx(5)


def test_a_clock_that_starts_again_loses_no_sound() -> None:
    for again in ((0, 8), (30, 38)):
        kept_s, silence_s, timeline = placed(times((0, 5), (40, 60), again))
        assert (kept_s, silence_s, timeline.position_s) == pytest.approx((33, 35, 68))
        assert timeline.was_reset


def test_a_forged_jump_makes_no_hours_of_silence() -> None:
    for jump_s, end_s in ((36_000.0, 36_002.0), (1e9, None), (100.0, 4.0)):
        kept_s, silence_s, timeline = placed(times((0, 2), (jump_s, jump_s + 2)), Timeline(0.0, 60_000, end_s))
        assert (kept_s, silence_s, timeline.position_s) == pytest.approx((4, 0, 4))
        assert timeline.was_reset


def test_many_jumps_together_have_one_bound() -> None:
    _, silence_s, _ = placed([400.0 * index for index in range(100)], Timeline(0.0, 0, None))
    assert silence_s <= MAX_SILENCE_S


def test_silence_behind_the_last_frame_is_bounded_too() -> None:
    _, _, timeline = placed(times((0, 2)))
    assert timeline.fill(2.1) == 0
    assert timeline.fill(5.0) == pytest.approx(3)
    assert timeline.fill(1e9) == 0
