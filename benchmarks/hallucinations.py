"""How many words does a recognizer write a minute where nobody speaks?

    python benchmarks/hallucinations.py MODEL ...

`MODEL` is what `transcribe.model` takes. Each sound is made here and read twice: as it comes, which is the recognizer
alone, and behind the voice activity detector, as in the pipeline. Printed: words a minute, and what was read and not
believed with its reason.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from mmer_ray.audio.vad import VoiceDetector, load_vad
from mmer_ray.profiles import TranscribeOptions, VadOptions
from mmer_ray.recognizers.interface import Chunk, Recognizer, Transcript
from mmer_ray.recognizers.members import load_recognizer
from mmer_ray.records import SAMPLE_RATE_HZ, Recording, Samples, Turn, Window
from mmer_ray.stages.chunks import cut_chunks

Sound = NDArray[np.float64]
LENGTHS_S = (2.0, 8.0, 30.0)


def silence(time_s: Sound, random: np.random.Generator) -> Sound:
    return np.zeros_like(time_s)


def faint_noise(time_s: Sound, random: np.random.Generator) -> Sound:
    return random.normal(0, 0.001, len(time_s))


def white_noise(time_s: Sound, random: np.random.Generator) -> Sound:
    return random.normal(0, 0.1, len(time_s))


def brown_noise(time_s: Sound, random: np.random.Generator) -> Sound:
    """Rumble, as of a road or a fan."""
    sound: Sound = scipy.signal.lfilter([1.0], [1.0, -0.99], random.normal(0, 0.02, len(time_s)))
    return sound


def tone(time_s: Sound, random: np.random.Generator) -> Sound:
    return 0.3 * np.sin(2 * np.pi * 1_000 * time_s)


def ring_back(time_s: Sound, random: np.random.Generator) -> Sound:
    """440 and 480 Hz, 2 s on and 4 s off (North America's precise tone plan)."""
    both = np.sin(2 * np.pi * 440 * time_s) + np.sin(2 * np.pi * 480 * time_s)
    return 0.15 * both * (time_s % 6 < 2)


def busy(time_s: Sound, random: np.random.Generator) -> Sound:
    """480 and 620 Hz, half a second on and off."""
    both = np.sin(2 * np.pi * 480 * time_s) + np.sin(2 * np.pi * 620 * time_s)
    return 0.15 * both * (time_s % 1 < 0.5)


def hold_music(time_s: Sound, random: np.random.Generator) -> Sound:
    """Chords and a melody of decaying harmonic notes, 100 beats a minute, in a telephone's band."""
    beat_s = 0.6
    sound = np.zeros_like(time_s)
    chords = ((0, 4, 7), (5, 9, 12), (7, 11, 14), (0, 4, 7))
    scale = (0, 2, 4, 7, 9, 12)
    for beat in range(int(time_s[-1] / beat_s) + 1 if len(time_s) else 0):
        chord = chords[beat // 4 % len(chords)]
        notes = [*(chord if beat % 2 == 0 else ()), 12 + scale[int(random.integers(len(scale)))]]
        age_s = time_s - beat * beat_s
        for note in notes:
            pitch_hz = 220 * 2 ** (note / 12)
            wave = sum(np.sin(2 * np.pi * pitch_hz * harmonic * age_s) / harmonic**1.5 for harmonic in (1, 2, 3, 4))
            sound += np.where(age_s >= 0, np.exp(-3 * np.maximum(age_s, 0)) * wave, 0)
    band = scipy.signal.butter(4, (300, 3_400), "bandpass", fs=SAMPLE_RATE_HZ, output="sos")
    filtered: Sound = scipy.signal.sosfilt(band, 0.1 * sound)
    return filtered


def clicks(time_s: Sound, random: np.random.Generator) -> Sound:
    """Keys and line clicks: ten a second at random times."""
    return np.where(random.random(len(time_s)) < 10 / SAMPLE_RATE_HZ, 0.5, 0.0) + random.normal(0, 0.001, len(time_s))


SOUNDS: Mapping[str, Callable[[Sound, np.random.Generator], Sound]] = {
    make.__name__: make
    for make in (silence, faint_noise, white_noise, brown_noise, tone, ring_back, busy, hold_music, clicks)
}


def sound(name: str, seconds: float) -> Samples:
    """Make one of the sounds: int16, shape (num_samples,)."""
    made = SOUNDS[name](np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ, np.random.default_rng(0))
    return np.clip(np.round(made * 32_767), -32_768, 32_767).astype(np.int16)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["whisper:tiny.en"], metavar="MODEL")
    arguments = parser.parse_args()
    for model in arguments.models:
        report(model, load_recognizer(TranscribeOptions(model=model)), load_vad(VadOptions()))


def report(model: str, recognizer: Recognizer, detector: VoiceDetector) -> None:
    """Print what one model writes."""
    totals: Counter[str] = Counter()
    minutes = len(SOUNDS) * sum(LENGTHS_S) / 60
    for name in SOUNDS:
        sounds = [sound(name, seconds) for seconds in LENGTHS_S]
        for way, chunks in (("alone", [Chunk(one) for one in sounds]), ("behind VAD", speech_of(sounds, detector))):
            transcripts = recognizer.transcribe(chunks)
            totals[way] += sum(len(one.words) for one in transcripts)
            print(f"{model} {name} {way}: {len(chunks)} chunks; {told(transcripts)}", flush=True)
    for way, num_words in totals.items():
        print(f"{model} {way}: {num_words} words in {minutes:.1f} minutes, {num_words / minutes:.2f} a minute")


def speech_of(sounds: Sequence[Samples], detector: VoiceDetector) -> list[Chunk]:
    """What the pipeline would read of sounds."""
    windows = [
        Window(
            Recording(uri="/made"),
            index,
            0,
            0.0,
            len(one) / SAMPLE_RATE_HZ,
            one,
            turns=tuple(Turn(start_s, end_s, 0) for start_s, end_s in detector.regions(one)),
        )
        for index, one in enumerate(sounds)
    ]
    return [Chunk(chunk.cut(windows[chunk.window].samples)) for chunk in cut_chunks(windows, 30.0, pack=True)]


def told(transcripts: Sequence[Transcript]) -> str:
    """What was written and what was not believed, in one line."""
    texts = [
        f"{' '.join(word.word for word in one.words)!r} (logprob {one.logprob:.2f})"
        for one in transcripts
        if one.words and one.logprob is not None
    ]
    dropped: Counter[str] = Counter()
    for one in transcripts:
        for part in one.dropped:
            dropped[part.reason] += part.num_words
    return f"wrote {', '.join(texts) or 'nothing'}; dropped {dict(dropped) or 'nothing'}"


if __name__ == "__main__":
    main()
