"""How often is the language of a chunk right, judged alone and together with the others of its window?

    python benchmarks/languages_on_speech.py --english RAVDESS --german EMODB [--recordings 6] [--model base]

Recordings are made of clips joined without a pause: of English, of German, and of one after the other, each with short
bits of speech (`BITS_S`) as chunks of their own, as a pause or a full chunk leaves them. Chunks of both languages are
not counted. Printed for each length: chunks that are given the language that is spoken there.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from speech_data import EMODB, RAVDESS, need

from mmer_ray.models.refs import parse_ref
from mmer_ray.models.resolver import resolve
from mmer_ray.recognizers.whisper.languages import Evidence, allowed_languages, languages_of
from mmer_ray.recognizers.whisper.network import Network
from mmer_ray.recognizers.whisper.tokens import LogMel, Tokens
from mmer_ray.records import SAMPLE_RATE_HZ, Samples

BITS_S = (0.4, 0.8, 1.2)
CHUNK_S = 28.0
"""As full as packing leaves most chunks."""
CHANGE_S = 6.0
"""The second language of a recording of two is also heard so short."""
QUIET = 300
"""Samples below it at a clip's ends are cut off."""


class Spoken(NamedTuple):
    language: str
    samples: Samples


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--english", type=Path, default=RAVDESS)
    parser.add_argument("--german", type=Path, default=EMODB)
    parser.add_argument("--recordings", type=int, default=6, help="Of each of the three kinds.")
    parser.add_argument("--model", default="base")
    arguments = parser.parse_args()
    need(arguments.english, arguments.german)
    clips = {"en": Clips(arguments.english), "de": Clips(arguments.german)}
    folder = resolve(parse_ref("whisper", arguments.model)).path
    listener = Listener(folder)
    alone: Counter[str] = Counter()
    together: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for number in range(arguments.recordings):
        for kind, chunks in recordings(clips, number):
            evidence = listener.evidence(chunks)
            pooled = languages_of(evidence, listener.languages)
            for chunk, own, window in zip(chunks, evidence, pooled, strict=True):
                name = f"{kind}, chunks of {len(chunk.samples) / SAMPLE_RATE_HZ:.1f} s"
                total[name] += 1
                alone[name] += languages_of([own], listener.languages)[0].code == chunk.language
                together[name] += window.code == chunk.language
    for name in sorted(total):
        print(f"{name}: right alone {alone[name]}, together {together[name]}, of {total[name]}")


class Clips:
    """The clips of a folder in an order that is drawn once."""

    def __init__(self, folder: Path) -> None:
        self._files = sorted(folder.rglob("*.flac"))
        random.Random(0).shuffle(self._files)
        self._next = 0

    def join(self, seconds: float) -> Samples:
        """The next clips one after the other, cut to a length; a bit of less than a clip is its middle."""
        wanted = round(seconds * SAMPLE_RATE_HZ)
        parts: list[Samples] = []
        while sum(map(len, parts)) < wanted:
            samples, rate_hz = soundfile.read(self._files[self._next % len(self._files)], dtype="int16")
            assert rate_hz == SAMPLE_RATE_HZ, "clips have the rate of the models"
            self._next += 1
            loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > QUIET)
            parts.append(samples[loud[0] : loud[-1] + 1] if len(loud) else samples[:0])
        if len(parts) == 1:
            begin = (len(parts[0]) - wanted) // 2
            return parts[0][begin : begin + wanted]
        return np.concatenate(parts)[:wanted]


def recordings(clips: Mapping[str, Clips], number: int) -> Iterator[tuple[str, list[Spoken]]]:
    """One recording of each kind: its name and its chunks."""
    for language, of_language in clips.items():
        yield f"all {language}", [Spoken(language, of_language.join(seconds)) for seconds in (CHUNK_S, *BITS_S)]
    first, second = ("en", "de") if number % 2 else ("de", "en")
    yield (
        "of two",
        [
            *(Spoken(first, clips[first].join(seconds)) for seconds in (CHUNK_S, BITS_S[1])),
            Spoken(second, clips[second].join(CHANGE_S)),
        ],
    )


class Listener:
    """A multilingual Whisper, as far as its judgement of languages."""

    def __init__(self, folder: Path) -> None:
        self._network = Network(folder)
        self._log_mel = LogMel(self._network.num_mels)
        self.languages = allowed_languages((), Tokens(folder, multilingual=True).languages)

    def evidence(self, chunks: Sequence[Spoken]) -> list[Evidence]:
        """What the model says of each chunk."""
        encoded_BTH = self._network.encode(np.stack([self._log_mel(chunk.samples) for chunk in chunks]))
        return [
            Evidence(probabilities, len(chunk.samples) / SAMPLE_RATE_HZ)
            for probabilities, chunk in zip(self._network.language_probabilities(encoded_BTH), chunks, strict=True)
        ]


if __name__ == "__main__":
    main()
