"""Speakers under the names of voices that the caller brings along."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mmer_ray.audio.needed import needed_ranges
from mmer_ray.demo.truth import CALLS, TrueCall, read_truth
from mmer_ray.errors import UsageError
from mmer_ray.pipelines.scoring import WorkStoppedError
from mmer_ray.profiles import load_profile
from mmer_ray.records import SAMPLE_RATE_HZ, Recording, SpeakerTurn, Window
from mmer_ray.serving.clip_folder import LOCK
from mmer_ray.serving.interface import Asked, KnownSpeaker
from mmer_ray.serving.known_speakers import VOICE_S, SpeakerSounds, known_sound, names_of, own_stretches
from mmer_ray.serving.scorer import OnlineScorer

SOON_S = 60.0


def clips_in(scorer: OnlineScorer) -> list[Path]:
    """Files that were left behind."""
    return [one for one in scorer._folder.path.iterdir() if one.name != LOCK]


@pytest.fixture(scope="module")
def scorer() -> Iterator[OnlineScorer]:
    with OnlineScorer(load_profile("synthetic")) as loaded:
        yield loaded


def wav(samples: np.ndarray, rate_hz: int = SAMPLE_RATE_HZ) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format="WAV")
    return file.getvalue()


def known(call: TrueCall, speaker: str) -> KnownSpeaker:
    """The longest turn of an agent or a customer, by `speaker`, ten seconds at most."""
    turn = max(
        (one for one in call.turns if one.speaker.startswith(speaker)), key=lambda one: min(one.end_s - one.start_s, 10)
    )
    samples, rate_hz = soundfile.read(CALLS / call.file, dtype="int16", always_2d=True)
    begin, end = round(turn.start_s * rate_hz), round(min(turn.end_s, turn.start_s + 10) * rate_hz)
    return KnownSpeaker(f"the {speaker}", wav(samples[begin:end, turn.channel if call.channels == 2 else 0], rate_hz))


@pytest.mark.parametrize("number", [0, 1], ids=["on channels of their own", "on one channel"])
def test_who_speaks_is_named_and_nothing_else_changes(scorer: OnlineScorer, number: int) -> None:
    call = read_truth()[number]
    plain = scorer.score(Asked(CALLS / call.file))
    both = tuple(known(call, speaker) for speaker in ("customer", "agent"))
    named = scorer.score(Asked((CALLS / call.file).read_bytes(), known_speakers=both))

    assert len(named.utterances) > 5
    for said in named.utterances:
        middle_s = (said.start_s + said.end_s) / 2
        talking = {one.speaker.split()[0] for one in call.turns if one.start_s <= middle_s <= one.end_s}
        assert said.speaker_name in {f"the {one}" for one in talking}
    names = {one.speaker: one.speaker_name for one in named.utterances}
    assert all(turn.speaker_name == names[turn.speaker] for turn in named.turns)
    unnamed = tuple(replace(one, speaker_name=None) for one in named.utterances)
    assert [replace(one, emotions=()) for one in unnamed] == [replace(one, emotions=()) for one in plain.utterances]


def test_strangers_stay_without_a_name(scorer: OnlineScorer) -> None:
    first, _, third, *_ = read_truth()
    named = scorer.score(Asked(CALLS / first.file, known_speakers=(known(third, "customer"),)))
    assert {one.speaker_name for one in (*named.turns, *named.utterances)} == {None}


def noise(seconds: float) -> bytes:
    return wav(np.random.default_rng(0).integers(-20, 20, round(seconds * SAMPLE_RATE_HZ)).astype(np.int16))


@pytest.mark.parametrize(
    ("sounds", "message"),
    [
        ({"Ann": b"no audio"}, "known_speaker_references: the sound of 'Ann': no audio format begins"),
        ({"Ann": noise(1.0)}, "known_speaker_references: the sound of 'Ann' lasts 1.0 s; 2 to 10 s"),
        ({"Ann": noise(30.0)}, "known_speaker_references: the sound of 'Ann': .* at most 10 s"),
        ({"Ann": noise(4.0)}, "known_speaker_references: nobody speaks in the sound of 'Ann'"),
        ({" ": noise(4.0)}, "known_speaker_names: a name is empty"),
    ],
)
def test_a_sound_that_cannot_be_used_is_refused_by_name(
    scorer: OnlineScorer, sounds: dict[str, bytes], message: str
) -> None:
    some = tuple(KnownSpeaker(name, sound) for name, sound in sounds.items())
    with pytest.raises(UsageError, match=f"^{message}"):
        scorer.score(Asked(CALLS / "call_18_mono.opus", known_speakers=some))
    assert clips_in(scorer) == []


def test_a_name_that_stands_there_twice_is_refused(scorer: OnlineScorer) -> None:
    twice = (KnownSpeaker("Ann", noise(3.0)), KnownSpeaker("Ann", noise(4.0)))
    with pytest.raises(UsageError, match=r"^known_speaker_names: 'Ann' stands there twice"):
        scorer.score(Asked(b"", known_speakers=twice))


def test_naming_is_dropped_as_the_rest_is(scorer: OnlineScorer) -> None:
    call, cancelled = read_truth()[0], threading.Event()
    asked = Asked(CALLS / call.file, known_speakers=(known(call, "agent"),))
    cancelled.set()
    with ThreadPoolExecutor(1) as threads, pytest.raises(WorkStoppedError):
        threads.submit(scorer.score, asked, cancelled).result(SOON_S)


def turn(start_s: float, end_s: float, speaker: str, channel: int = 0) -> SpeakerTurn:
    return SpeakerTurn(start_s, end_s, channel, speaker)


def seconds(ranges: list[tuple[int, int, int]]) -> list[tuple[int, float, float]]:
    return [(channel, begin / SAMPLE_RATE_HZ, end / SAMPLE_RATE_HZ) for channel, begin, end in ranges]


def test_a_speaker_is_heard_where_nobody_else_speaks_on_the_channel_the_longest_stretches_first() -> None:
    chosen = own_stretches(
        [
            *(turn(0, 10, "S1"), turn(8, 12, "S2"), turn(12.2, 12.4, "S1")),
            # On another channel, where S1 is not heard.
            *(turn(9, 11, "S3", channel=1), turn(20, 60, "S1")),
        ]
    )
    assert seconds(chosen["S1"]) == [(0, 20.0, 50.0)]
    assert seconds(chosen["S2"]) == [(0, 10.0, 12.0)]
    assert seconds(chosen["S3"]) == [(1, 9.0, 11.0)]


def test_a_speaker_who_is_never_alone_is_heard_all_the_same() -> None:
    chosen = own_stretches([turn(0, 60, "S1"), turn(2, 5, "S2")])
    assert seconds(chosen["S2"]) == [(0, 2.0, 5.0)]
    assert sum(end_s - start_s for _, start_s, end_s in seconds(chosen["S1"])) == VOICE_S


def test_the_sound_of_a_speaker_is_put_together_over_the_borders_of_windows() -> None:
    channel = np.arange(4 * SAMPLE_RATE_HZ).astype(np.int16)
    stretches = own_stretches([turn(0.5, 2.5, "S1"), turn(3, 3.75, "S1")])
    speakers = SpeakerSounds(stretches)
    assert needed_ranges(speakers.ranges) == [(0, 8_000, 60_000)]
    for begin in range(4):
        part = channel[begin * SAMPLE_RATE_HZ : (begin + 1) * SAMPLE_RATE_HZ]
        speakers.add(Window(Recording(uri=""), 2 * begin, 0, float(begin), begin + 1.0, part))
        speakers.add(Window(Recording(uri=""), 2 * begin + 1, 1, float(begin), begin + 1.0, np.zeros_like(part)))
    assert speakers.sounds()["S1"].tolist() == [*channel[8_000:40_000].tolist(), *channel[48_000:60_000].tolist()]


def test_the_louder_channel_is_the_known_voice() -> None:
    quiet, loud = (np.full(3 * SAMPLE_RATE_HZ, level, np.int16) for level in (10, 1_000))
    windows = [Window(Recording(uri=""), at, at, 0.0, 3.0, sound) for at, sound in enumerate((quiet, loud))]
    assert known_sound("Ann", windows)[0] == 1_000


def test_the_nearest_pair_is_named_first_and_each_name_is_given_once() -> None:
    def voice(degrees: float) -> np.ndarray:
        return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], np.float32)

    voices = {"S1": voice(0), "S2": voice(20), "S3": voice(90)}
    assert names_of(voices, {"Ann": voice(12), "Ben": voice(25)}, threshold=0.4) == {"S2": "Ben", "S1": "Ann"}
    assert names_of(voices, {"Ann": voice(12)}, threshold=0.4) == {"S2": "Ann"}
    assert names_of(voices, {"Ann": voice(180)}, threshold=0.4) == {}
