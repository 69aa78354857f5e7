"""Ends of speech, told while it comes. The network is the real one; where its answer would decide, it is given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from mmer_ray.audio.vad import FRAME_S, FRAME_SAMPLES, PADDING_AFTER_S, PADDING_BEFORE_S, load_vad
from mmer_ray.profiles import VadOptions
from mmer_ray.records import SAMPLE_RATE_HZ, Samples
from mmer_ray.serving.endpointer import (
    END_SILENCE_S,
    LONG_END_SILENCE_S,
    LONG_S,
    MAX_STRETCH_S,
    Endpointer,
    RunningLevel,
    Stretch,
)
from tests.serving.call_sounds import demo_call


class GivenAnswers:
    """A detector that says what it was told to, one frame after the other."""

    threshold = 0.5

    def __init__(self, answers: Sequence[float]) -> None:
        self._answers = list(answers)

    def probabilities(self, samples: Samples) -> NDArray[np.float32]:
        num_frames = len(samples) // FRAME_SAMPLES
        told, self._answers = self._answers[:num_frames], self._answers[num_frames:]
        return np.array(told, dtype=np.float32)


def stretches_of(answers: Sequence[float]) -> list[Stretch]:
    endpointer = Endpointer(GivenAnswers(answers))
    samples = np.zeros(FRAME_SAMPLES, dtype=np.int16)
    return [one for _ in answers for one in endpointer.push(samples)] + endpointer.finish()


def frames(*parts: tuple[float, float]) -> list[float]:
    """Probabilities for (probability, seconds)."""
    return [probability for probability, seconds in parts for _ in range(round(seconds / FRAME_S))]


def test_a_stretch_ends_after_the_silence_and_not_at_a_shorter_pause() -> None:
    (one,) = stretches_of(frames((0, 1.0), (0.9, 2.0), (0, END_SILENCE_S - 0.1), (0.9, 1.0), (0, 2.0)))
    assert one.start_s == pytest.approx(1.0 - PADDING_BEFORE_S, abs=FRAME_S)
    assert one.end_s == pytest.approx(1.0 + 2.0 + END_SILENCE_S - 0.1 + 1.0 + PADDING_AFTER_S, abs=3 * FRAME_S)
    assert len(stretches_of(frames((0.9, 2.0), (0, END_SILENCE_S + 0.1), (0.9, 1.0), (0, 2.0)))) == 2


def test_a_stretch_is_told_as_soon_as_the_silence_is_over() -> None:
    answers = frames((0.9, 2.0), (0, 3.0))
    endpointer = Endpointer(GivenAnswers(answers))
    told = [at for at in range(len(answers)) if endpointer.push(np.zeros(FRAME_SAMPLES, dtype=np.int16))]
    assert np.array(told) * FRAME_S == pytest.approx([2.0 + END_SILENCE_S], abs=2 * FRAME_S)


def test_long_speech_ends_at_a_shorter_pause() -> None:
    pause_s = (END_SILENCE_S + LONG_END_SILENCE_S) / 2
    assert len(stretches_of(frames((0.9, LONG_S + 0.5), (0, pause_s), (0.9, 1.0), (0, 2.0)))) == 2
    assert len(stretches_of(frames((0.9, LONG_S - 1.5), (0, pause_s), (0.9, 1.0), (0, 2.0)))) == 1


def test_speech_without_a_pause_is_cut_at_its_quietest_frame() -> None:
    speech = frames((0.9, MAX_STRETCH_S - 3), (0.3, FRAME_S), (0.9, 5.0), (0, 2.0))
    first, second = stretches_of(speech)
    assert first.end_s == second.start_s == pytest.approx(MAX_STRETCH_S - 3, abs=2 * FRAME_S)
    assert second.end_s == pytest.approx(MAX_STRETCH_S + 2 + PADDING_AFTER_S, abs=3 * FRAME_S)


def test_an_hour_of_speech_is_cut_into_stretches_that_follow_each_other() -> None:
    stretches = stretches_of(frames((0.9, 600.0)))
    assert max(one.end_s - one.start_s for one in stretches) <= MAX_STRETCH_S + PADDING_BEFORE_S + PADDING_AFTER_S
    assert [one.start_s for one in stretches[1:]] == [one.end_s for one in stretches[:-1]]
    assert stretches[-1].end_s == pytest.approx(600.0, abs=FRAME_S)


def test_clicks_and_silence_are_no_stretch() -> None:
    assert stretches_of(frames((0, 5.0))) == []
    assert stretches_of(frames((0.9, 2 * FRAME_S), (0, 1.0)) * 3) == []


def test_what_the_end_of_the_sound_cuts_off_is_a_stretch() -> None:
    assert stretches_of(frames((0, 1.0), (0.9, 1.0))) == [
        Stretch(pytest.approx(1.0 - PADDING_BEFORE_S, abs=FRAME_S), pytest.approx(2.0, abs=FRAME_S))
    ]


def test_the_same_stretches_come_out_of_pieces_of_any_size() -> None:
    samples = demo_call(num_s=20)[:, 0]
    vad = load_vad(VadOptions())

    def heard(step: int) -> list[Stretch]:
        endpointer = Endpointer(vad.follow())
        found = [endpointer.push(samples[first : first + step]) for first in range(0, len(samples), step)]
        return [one for some in found for one in some] + endpointer.finish()

    whole = heard(len(samples))
    assert len(whole) >= 2
    assert heard(1_600) == heard(7_777) == whole


def test_stretches_hold_the_speech_that_the_batch_job_finds() -> None:
    samples = demo_call(num_s=30)[:, 0]
    vad = load_vad(VadOptions())
    endpointer = Endpointer(vad.follow())
    stretches = endpointer.push(samples) + endpointer.finish()
    for start_s, end_s in vad.regions(samples):
        held_s = sum(max(0.0, min(end_s, one.end_s) - max(start_s, one.start_s)) for one in stretches)
        assert held_s >= end_s - start_s - 0.3


def test_speech_far_too_quiet_is_raised_within_seconds_and_ordinary_speech_is_left_as_it_is() -> None:
    samples = demo_call(num_s=20)[:, 0]
    vad = load_vad(VadOptions())
    assert np.array_equal(RunningLevel().applied(samples), samples)
    quiet = np.rint(samples / 1_000).astype(np.int16)
    loud_s, quiet_s = (sum(one.end_s - one.start_s for one in _heard(vad, sound)) for sound in (samples, quiet))
    assert quiet_s >= 0.7 * loud_s
    unlevelled = np.mean(vad.probabilities(quiet) >= 0.5)
    assert unlevelled < 0.5 * np.mean(vad.probabilities(samples) >= 0.5)


def _heard(vad: object, samples: Samples) -> list[Stretch]:
    endpointer = Endpointer(vad.follow())  # type: ignore[attr-defined]
    return endpointer.push(samples) + endpointer.finish()


def test_listening_takes_a_hundredth_of_a_core() -> None:
    import time

    samples = demo_call(num_s=30)[:, 0]
    endpointer = Endpointer(load_vad(VadOptions()).follow())
    begin = time.thread_time()
    for first in range(0, len(samples), 1_600):
        endpointer.push(samples[first : first + 1_600])
    # Threefold what was measured on a quiet core: others run beside.
    assert time.thread_time() - begin <= 0.03 * len(samples) / SAMPLE_RATE_HZ
