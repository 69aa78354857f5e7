"""Speakers of a live call, told by the stretches before."""

from __future__ import annotations

import io
import wave
from dataclasses import replace

import numpy as np

from mmer_ray.records import SAMPLE_RATE_HZ, ScoredRecording, SpeakerTurn
from mmer_ray.serving.known_speakers import MAX_KNOWN_S
from mmer_ray.serving.live_speakers import MAX_VOICES, LiveSpeakers
from tests.serving.call_sounds import wav
from tests.serving.cheap_scorers import SCORED, UTTERANCES

RATE_HZ = 8_000


def stretch(*turns: tuple[str, float, float], names: dict[str, str] | None = None) -> tuple[ScoredRecording, bytes]:
    """A scored stretch with turns of (speaker, start, end), and its sound, in which each second has its own value."""
    said = tuple(
        SpeakerTurn(start_s, end_s, 0, speaker, speaker_name=(names or {}).get(speaker))
        for speaker, start_s, end_s in turns
    )
    seconds = np.arange(int(max(end_s for _, _, end_s in turns)) + 1, dtype=np.int16)
    return replace(SCORED, turns=said), wav(np.repeat(seconds, RATE_HZ)[:, None], RATE_HZ)


def sound_of(file: bytes) -> list[int]:
    """The seconds that a file holds."""
    with wave.open(io.BytesIO(file)) as reader:
        assert (reader.getframerate(), reader.getnchannels()) == (RATE_HZ, 1)
        samples = np.frombuffer(reader.readframes(reader.getnframes()), dtype=np.int16)
    return list(dict.fromkeys(samples.tolist()))


def test_a_voice_is_known_once_it_was_heard_for_two_seconds() -> None:
    speakers = LiveSpeakers(RATE_HZ, 1)
    assert speakers.names(*_with_channel(stretch(("S1", 0.0, 1.0)))) == {}
    assert speakers.known() == ()
    assert speakers.names(*_with_channel(stretch(("S1", 1.0, 4.0)))) == {"S1": "S1"}
    (voice,) = speakers.known()
    assert voice.name == "S1"
    assert sound_of(voice.sound) == [1, 2, 3]


def test_a_further_voice_needs_more_and_who_is_recognised_needs_nothing() -> None:
    speakers = LiveSpeakers(RATE_HZ, 1)
    speakers.names(*_with_channel(stretch(("S1", 0.0, 3.0))))
    assert speakers.names(*_with_channel(stretch(("S1", 0.0, 3.0)))) == {}
    known = stretch(("S1", 0.0, 5.0), ("S2", 5.0, 6.0), names={"S2": "S1"})
    assert speakers.names(*_with_channel(known)) == {"S1": "S2", "S2": "S1"}
    assert [voice.name for voice in speakers.known()] == ["S1", "S2"]


def test_what_is_known_of_a_voice_grows_up_to_its_bound() -> None:
    speakers = LiveSpeakers(RATE_HZ, 1)
    speakers.names(*_with_channel(stretch(("S1", 0.0, 3.0))))
    speakers.names(*_with_channel(stretch(("S1", 5.0, 25.0), names={"S1": "S1"})))
    (voice,) = speakers.known()
    assert sound_of(voice.sound) == [0, 1, 2, 5, 6, 7, 8, 9, 10, 11]
    assert len(voice.sound) == 44 + MAX_KNOWN_S * RATE_HZ * 2


def test_what_two_say_at_once_is_nobodys_voice() -> None:
    speakers = LiveSpeakers(RATE_HZ, 1)
    speakers.names(*_with_channel(stretch(("S1", 0.0, 6.0), ("S2", 3.0, 8.0))))
    assert sound_of(speakers.known()[0].sound) == [0, 1, 2]


def test_no_more_voices_are_kept_than_can_be_asked_about() -> None:
    speakers = LiveSpeakers(RATE_HZ, 1)
    for _ in range(MAX_VOICES + 3):
        speakers.names(*_with_channel(stretch(("S1", 0.0, 5.0))))
    assert len(speakers.known()) == MAX_VOICES


def test_of_two_channels_each_is_a_party_in_the_order_in_which_they_speak() -> None:
    speakers = LiveSpeakers(SAMPLE_RATE_HZ, 2)
    scored = replace(SCORED, utterances=UTTERANCES)
    assert speakers.names(scored, 1, b"") == {"S1": "S1", "S2": "S1"}
    assert speakers.names(scored, 0, b"") == {"S1": "S2", "S2": "S2"}
    assert speakers.names(scored, 1, b"") == {"S1": "S1", "S2": "S1"}
    assert speakers.known() == ()


def _with_channel(scored: tuple[ScoredRecording, bytes]) -> tuple[ScoredRecording, int, bytes]:
    return scored[0], 0, scored[1]
