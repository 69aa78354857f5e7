"""Members without weights, one behind each interface: for tests of everything around the models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmer_ray.diarizers.interface import Diarization
from mmer_ray.errors import UsageError
from mmer_ray.pipelines.engine import Engine
from mmer_ray.profiles import Profile
from mmer_ray.recognizers.interface import Chunk, TimedWord, Transcript
from mmer_ray.records import SAMPLE_RATE_HZ, Clip, Emotion, Expected, Turn, Window
from mmer_ray.stages.emotion import Description
from mmer_ray.stages.keys import scorer_of

LOUD = 0.1
"""Root mean square of a clip, of full scale 1, from which on it is angry."""


class OneWordRecognizer:
    """Writes one word per chunk, its length in milliseconds, a tenth of a second inside it."""

    max_chunk_s = 30.0
    packs_chunks = False
    margin_s = 0.0

    def check_expected(self, expected: Expected) -> None:
        if expected.prompt:
            raise UsageError("prompt: this recognizer goes on from nothing")

    def transcribe(self, chunks: Sequence[Chunk]) -> list[Transcript]:
        return [self._read(chunk) for chunk in chunks]

    def _read(self, chunk: Chunk) -> Transcript:
        seconds = len(chunk.samples) / SAMPLE_RATE_HZ
        word = TimedWord(f"{round(seconds * 1000)}ms", min(0.1, seconds / 4), max(seconds - 0.1, seconds * 3 / 4), 0.9)
        return Transcript((word,), language="en", language_p=0.75, logprob=-0.25)


class EnergyDiarizer:
    """Takes every stretch of tenths of a second that are not silent for a turn of one and the same speaker."""

    join_threshold = 0.5

    def diarize(self, windows: Sequence[Window]) -> list[Diarization]:
        return [self._turns(window) for window in windows]

    def _turns(self, window: Window) -> Diarization:
        frame = SAMPLE_RATE_HZ // 10
        whole = len(window.samples) // frame * frame
        loud = np.abs(window.samples[:whole].reshape(-1, frame)).max(axis=1, initial=0) > 0
        edges = np.flatnonzero(np.diff(np.concatenate([[False], loud, [False]])))
        turns = tuple(
            Turn(window.start_s + begin / 10, window.start_s + end / 10, 0)
            for begin, end in edges.reshape(-1, 2).tolist()
        )
        has_embedding = turns and not window.one_speaker
        return Diarization(turns, (np.array([1.0, 0.0], dtype=np.float32),) if has_embedding else ())


class LoudnessScorer:
    """Calls a loud clip angry and any other neutral; its valence says exactly which samples it heard."""

    scorer = "loudness-00000000"

    def __init__(self, *, reads_dialogue: bool = False) -> None:
        self.reads_dialogue = reads_dialogue

    def predict(self, clips: Sequence[Clip]) -> list[Emotion]:
        return [self._score(clip) for clip in clips]

    def _score(self, clip: Clip) -> Emotion:
        loudness = float(np.sqrt(np.mean(np.square(clip.samples, dtype=np.float64)))) if len(clip.samples) else 0.0
        angry = 0.9 if loudness >= LOUD else 0.1
        probabilities = {"angry": angry, "neutral": 1 - angry}
        label = max(probabilities, key=lambda name: probabilities[name])
        return Emotion(self.scorer, label, probabilities, max(probabilities.values()), valence=-loudness)


class RelativeLoudnessScorer(LoudnessScorer):
    """Measures a clip against the other clips of its speaker; its valence says by how much it is the louder one."""

    scorer = "relative_loudness-00000000"

    def describe(self, clips: Sequence[Clip]) -> list[Description]:
        return [np.array([-(emotion.valence or 0.0)], np.float32) for emotion in super().predict(clips)]

    def conclude(self, described: Sequence[Description], speakers: Sequence[str | None]) -> list[Emotion]:
        loudness = [0.0 if one is None else float(one[0]) for one in described]
        of_speaker = {
            name: [level for level, who in zip(loudness, speakers, strict=True) if who == name] for name in speakers
        }
        return [
            Emotion(self.scorer, "neutral", {"neutral": 1.0}, 1.0, valence=round(level - np.mean(of_speaker[who]), 6))
            for level, who in zip(loudness, speakers, strict=True)
        ]


def engine_of(profile: Profile, *, hears: bool = True) -> Engine:
    """As `Engine.load`: without weights, under the name of the profile's emotion model, which the planner looks for."""
    scorer = LoudnessScorer()
    scorer.scorer = scorer_of(profile)
    return Engine(EnergyDiarizer(), OneWordRecognizer(), scorer) if hears else Engine(None, None, scorer)


def plain_engine(*, reads_dialogue: bool = False) -> Engine:
    """An engine without weights."""
    return Engine(EnergyDiarizer(), OneWordRecognizer(), LoudnessScorer(reads_dialogue=reads_dialogue))
