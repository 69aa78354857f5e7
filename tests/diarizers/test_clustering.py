"""Turns from sound. The voices here differ in their bands, so that any simple measure tells them apart."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import signal

from mmer_ray.audio.vad import load_vad
from mmer_ray.diarizers.agglomerative import normalised
from mmer_ray.diarizers.clustering import ClusteringDiarizer, Embed
from mmer_ray.diarizers.interface import Diarizer
from mmer_ray.diarizers.members import load_diarizer
from mmer_ray.diarizers.speaker_turns import join_close
from mmer_ray.models.speaker import checkpoint as speaker_checkpoint
from mmer_ray.models.speaker.config import SIZES
from mmer_ray.models.speaker.model import SpeakerModel
from mmer_ray.profiles import DiarizeOptions, VadOptions
from mmer_ray.records import SAMPLE_RATE_HZ, Samples, Turn, Window
from tests.stages.makers import window

SENTENCES = (
    "good morning, you are speaking to the service desk, how can i help you today",
    "my parcel should have come on monday and nobody can tell me where it is",
    "i am sorry to hear that, let me look at the order for you",
    "please do, i have been waiting for more than two weeks now",
)


def speak(text: str) -> NDArray[np.float64]:
    wav = subprocess.run(["espeak-ng", "-v", "en-gb", "--stdout", text], check=True, capture_output=True).stdout
    samples = np.frombuffer(wav[44:], dtype=np.int16).astype(np.float64)
    return np.asarray(signal.resample_poly(samples, 320, 441))


def voice(samples: NDArray[np.float64], who: int) -> NDArray[np.float64]:
    """Person 0 has the sound below 1.2 kHz, person 1 the sound above 0.6 kHz."""
    cut_off, kind = ((1_200, "lowpass"), (600, "highpass"))[who]
    return np.asarray(signal.sosfilt(signal.butter(4, cut_off, kind, fs=SAMPLE_RATE_HZ, output="sos"), samples))


def embed(clips: list[Samples]) -> NDArray[np.float32]:
    """Shares of the sound in two bands."""
    bands = []
    for clip in clips:
        power = np.abs(np.fft.rfft(clip.astype(np.float64))) ** 2
        hz = np.fft.rfftfreq(len(clip), 1 / SAMPLE_RATE_HZ)
        bands.append([power[hz < 600].sum(), power[hz > 1_200].sum()])
    return normalised(np.sqrt(np.array(bands)))


def clustering(embed: Embed, **options: float) -> Diarizer:
    return ClusteringDiarizer(DiarizeOptions.model_validate(options), load_vad(VadOptions()), embed)


@pytest.fixture(scope="module")
def conversation() -> tuple[Window, list[Turn]]:
    """Four sentences in turn, 0.4 s apart, and where they are."""
    parts: list[NDArray[np.float64]] = [np.zeros(SAMPLE_RATE_HZ)]
    truth: list[Turn] = []
    for index, sentence in enumerate(SENTENCES):
        begin_s = sum(map(len, parts)) / SAMPLE_RATE_HZ
        parts.append(voice(speak(sentence), index % 2))
        truth.append(Turn(begin_s, sum(map(len, parts)) / SAMPLE_RATE_HZ, index % 2))
        parts.append(np.zeros(round(0.4 * SAMPLE_RATE_HZ)))
    samples = np.concatenate(parts).clip(-32_768, 32_767).astype(np.int16)
    return replace(window(0, len(samples) / SAMPLE_RATE_HZ), samples=samples), truth


@pytest.fixture(scope="module")
def diarizer() -> Diarizer:
    return clustering(embed, distance_threshold=0.3)


def wrong_share(turns: tuple[Turn, ...], truth: list[Turn]) -> float:
    """Share of the true speech, 0.25 s away from its borders, that has another speaker or none."""

    def paint(spans: list[Turn], inset_s: float) -> NDArray[np.int64]:
        timeline = np.full(4_000, -1)
        for span in spans:
            timeline[round((span.start_s + inset_s) * 100) : round((span.end_s - inset_s) * 100)] = span.speaker
        return timeline

    said, found = paint(truth, 0.25), paint(list(turns), 0.0)
    return float((found[said >= 0] != said[said >= 0]).mean())


def test_two_people_on_one_channel_are_told_apart(diarizer: Diarizer, conversation: tuple[Window, list[Turn]]) -> None:
    (answer,) = diarizer.diarize([conversation[0]])
    assert {turn.speaker for turn in answer.turns} == {0, 1}
    assert wrong_share(answer.turns, conversation[1]) < 0.05
    assert len(answer.embeddings) == 2
    assert all(np.linalg.norm(vector) == pytest.approx(1, abs=1e-5) for vector in answer.embeddings)
    assert all(before.start_s < after.start_s for before, after in pairwise(answer.turns))


def test_a_window_is_diarized_the_same_alone_and_in_company(
    diarizer: Diarizer, conversation: tuple[Window, list[Turn]]
) -> None:
    talk, _ = conversation
    silence = window(0, 5)
    reversed_talk = replace(talk, samples=talk.samples[::-1].copy())
    together = diarizer.diarize([silence, talk, replace(talk, one_speaker=True), reversed_talk])
    for position, one in ((0, silence), (1, talk), (3, reversed_talk)):
        (alone,) = diarizer.diarize([one])
        assert alone.turns == together[position].turns
        assert np.array_equal(np.array(alone.embeddings), np.array(together[position].embeddings))


def test_times_count_from_the_start_of_the_recording(
    diarizer: Diarizer, conversation: tuple[Window, list[Turn]]
) -> None:
    talk, _ = conversation
    (here,), (later,) = (
        diarizer.diarize([talk]),
        diarizer.diarize([replace(talk, start_s=600.0, end_s=600.0 + talk.end_s)]),
    )
    assert [turn.start_s + 600 for turn in here.turns] == pytest.approx([turn.start_s for turn in later.turns])
    assert [turn.speaker for turn in here.turns] == [turn.speaker for turn in later.turns]


def test_where_each_channel_is_a_party_no_embedding_is_made(conversation: tuple[Window, list[Turn]]) -> None:
    def refuse(_: list[Samples]) -> NDArray[np.float32]:
        raise AssertionError("embeddings are only for mixed channels")

    (answer,) = clustering(refuse).diarize([replace(conversation[0], one_speaker=True)])
    assert answer.turns
    assert {turn.speaker for turn in answer.turns} == {0}
    assert answer.embeddings == ()


def test_the_speaker_models_answer_for_a_window_is_the_same_in_company(
    tmp_path: Path, conversation: tuple[Window, list[Turn]]
) -> None:
    torch.manual_seed(0)
    speaker_checkpoint.save(SpeakerModel(SIZES["test"]), tmp_path)
    diarizer = load_diarizer(DiarizeOptions(model=str(tmp_path), distance_threshold=0.01), load_vad(VadOptions()))
    talk, _ = conversation
    longer = replace(talk, samples=np.tile(talk.samples, 2), end_s=2 * talk.end_s)
    (alone,), (together, _) = diarizer.diarize([talk]), diarizer.diarize([talk, longer])
    assert alone.turns == together.turns
    assert np.abs(np.array(alone.embeddings) - np.array(together.embeddings)).max() < 1e-5


def test_nobody_speaks_in_silence(diarizer: Diarizer) -> None:
    assert [answer.turns for answer in diarizer.diarize([window(0, 5)])] == [()]
    assert diarizer.diarize([]) == []


def test_ten_minutes_of_one_voice_are_one_speaker(conversation: tuple[Window, list[Turn]]) -> None:
    counted: list[int] = []

    def one_voice(clips: list[Samples]) -> NDArray[np.float32]:
        counted.append(len(clips))
        return normalised(1 + np.random.default_rng(0).normal(0, 0.2, (len(clips), 16)))

    talk, _ = conversation
    samples = np.resize(talk.samples, 600 * SAMPLE_RATE_HZ)
    (answer,) = clustering(one_voice).diarize([replace(talk, end_s=600.0, samples=samples)])
    assert {turn.speaker for turn in answer.turns} == {0}
    assert counted[0] <= 1_200


def test_more_voices_than_allowed_are_joined(conversation: tuple[Window, list[Turn]]) -> None:
    def scattered(clips: list[Samples]) -> NDArray[np.float32]:
        return normalised(np.random.default_rng(0).normal(size=(len(clips), 64)))

    (answer,) = clustering(scattered, max_speakers=2, distance_threshold=0.1).diarize([conversation[0]])
    assert len(answer.embeddings) <= 2


@pytest.mark.parametrize(
    ("spans", "joined"),
    [
        ([(0.0, 1.0, 0), (1.2, 2.0, 0)], [(0.0, 2.0, 0)]),
        ([(0.0, 1.0, 0), (1.4, 2.0, 0)], [(0.0, 1.0, 0), (1.4, 2.0, 0)]),
        ([(0.0, 1.0, 0), (1.0, 1.1, 1), (1.1, 2.0, 0)], [(0.0, 1.0, 0), (1.0, 1.1, 1), (1.1, 2.0, 0)]),
    ],
)
def test_turns_of_one_speaker_join_over_short_pauses(spans: list, joined: list) -> None:
    assert join_close(spans, 0.3) == joined
