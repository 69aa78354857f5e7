"""Sound that a recognizer without weights can read: a word is half a second of a sine of its own frequency."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from mmer_ray.audio.decode import Decoder
from mmer_ray.profiles import Profile
from mmer_ray.publish.hearing import Listener
from mmer_ray.recognizers.interface import Chunk, TimedWord, Transcript
from mmer_ray.records import SAMPLE_RATE_HZ, Recording, Samples, ScoredRecording, Utterance
from tests.cli.makers import said, scored_as, write_lake
from tests.lake.makers import recording_at
from tests.members import EnergyDiarizer

WORD_S = 0.5
START_S = 1.0
"""When the first word is said."""
WORDS = ("call", "five", "now", "anna", "please")
FREQUENCIES_HZ = {word: 2_000 + 500 * at for at, word in enumerate(WORDS)}


def sound_of(text: str, amplitude: int = 8_000) -> Samples:
    """The words one after the other, a second of silence before and after; int16, shape (num_samples,)."""
    times_s = np.arange(round(WORD_S * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    words = [amplitude * np.sin(2 * np.pi * FREQUENCIES_HZ[word] * times_s) for word in text.split()]
    silence = np.zeros(round(START_S * SAMPLE_RATE_HZ))
    return np.concatenate([silence, *words, silence]).astype(np.int16)


class SineRecognizer:
    """Reads words by their frequencies, from the middle of each half second."""

    max_chunk_s = 30.0
    packs_chunks = False
    margin_s = 0.0

    def transcribe(self, chunks: Sequence[Chunk]) -> list[Transcript]:
        return [Transcript(tuple(self._words(chunk.samples))) for chunk in chunks]

    def _words(self, samples: Samples) -> list[TimedWord]:
        step = round(WORD_S * SAMPLE_RATE_HZ)
        words: list[TimedWord] = []
        for begin in range(0, len(samples), step):
            part = samples[begin : begin + step]
            middle = part[len(part) * 2 // 5 : len(part) * 3 // 5].astype(float)
            frequency_hz = np.abs(np.fft.rfft(middle)).argmax() / len(middle) * SAMPLE_RATE_HZ
            word = min(WORDS, key=lambda name: abs(FREQUENCIES_HZ[name] - frequency_hz))
            if abs(FREQUENCIES_HZ[word] - frequency_hz) < 100:
                start_s = begin / SAMPLE_RATE_HZ
                words.append(TimedWord(word, start_s, start_s + len(part) / SAMPLE_RATE_HZ, 0.9))
        return words


class StubbornRecognizer(SineRecognizer):
    """Hears a number in whatever it is given."""

    def transcribe(self, chunks: Sequence[Chunk]) -> list[Transcript]:
        return [Transcript((TimedWord("five", 0.0, 0.1, 0.9),)) for _ in chunks]


def load(profile: Profile) -> Listener:
    return Listener(Decoder(profile.decode), EnergyDiarizer(), SineRecognizer())


def load_stubborn(profile: Profile) -> Listener:
    return Listener(Decoder(profile.decode), EnergyDiarizer(), StubbornRecognizer())


def utterance(text: str, speaker: str = "S1") -> Utterance:
    """What is said in `sound_of` the text, with the times of its words."""
    return said(START_S, START_S + WORD_S * len(text.split()), text, speaker)


def lake_of(folder: Path, talks: dict[str, tuple[Samples, list[Utterance]]]) -> Path:
    """A lake with a WAV file per name, its samples of shape (num_samples,) or (num_samples, 2), and what is said."""
    audio = folder / "audio"
    audio.mkdir(parents=True)
    for name, (samples, _) in talks.items():
        soundfile.write(audio / name, samples, SAMPLE_RATE_HZ, subtype="PCM_16")

    def answer(recording: Recording) -> ScoredRecording:
        samples, utterances = talks[Path(recording.uri).name]
        return scored_as(recording, utterances, len(samples) / SAMPLE_RATE_HZ)

    recordings = [recording_at(audio / name, audio) for name in talks]
    write_lake(folder / "calls.lake", answer, recordings)
    return folder / "calls.lake"
