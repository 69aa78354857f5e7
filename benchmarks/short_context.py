"""Does Whisper read the same words where a short clip is padded to less than 30 s, and what does that save?

    python benchmarks/short_context.py --ravdess FOLDER [--every 31] [--context-s 25 20 15 10] [--model whisper:tiny.en]

The encoder of CTranslate2 takes fewer frames than the 3,000 that the model was trained on. Words are compared without
case and marks. `+3` pads each clip by 3 s of its own. It is adopted nowhere: words change.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from speech_data import RAVDESS, need

from mmer_ray.profiles import TranscribeOptions
from mmer_ray.recognizers.members import choose_recognizer
from mmer_ray.recognizers.whisper.network import Network, Search
from mmer_ray.recognizers.whisper.tokens import CHUNK_S, ENGLISH, FRAMES_PER_S, LogMel, Tokens
from mmer_ray.records import SAMPLE_RATE_HZ, Samples


class Reader:
    """The model, its words and what its encoder took."""

    def __init__(self, model: str) -> None:
        folder = choose_recognizer(TranscribeOptions(model=model)).resolved().path
        self._network = Network(folder)
        self._tokens = Tokens(folder, multilingual=self._network.is_multilingual)
        self._log_mel = LogMel(self._network.num_mels)
        self.encoder_s = 0.0

    def words(self, samples: Samples, context: str) -> list[str]:
        """Read a clip in a context of so many seconds, or of its own length and, after a +, so many more."""
        own_s = len(samples) / SAMPLE_RATE_HZ if context.startswith("+") else 0.0
        # Two frames make one of the encoder.
        num_frames = 2 * round(min(CHUNK_S, own_s + float(context)) * FRAMES_PER_S / 2)
        begun = time.process_time()
        encoded_BTH = self._network.encode(self._log_mel(samples)[None, :, :num_frames])
        self.encoder_s += time.process_time() - begun
        (generated,) = self._network.generate(encoded_BTH, [self._tokens.prompt(ENGLISH, ())], Search())
        text = self._tokens.decode(self._tokens.text_only(generated.tokens)).lower()
        return "".join(char if char.isalnum() or char == "'" else " " for char in text).split()


def report(reader: Reader, clips: Sequence[Samples], context: str, expected: Sequence[list[str]]) -> list[list[str]]:
    """Print how many clips read otherwise than expected; returns what each reads."""
    reader.encoder_s = 0.0
    found = [reader.words(samples, context) for samples in clips]
    differing = [(a, b) for a, b in zip(expected, found, strict=False) if a != b]
    print(f"context {context:>4} s: encoder {reader.encoder_s / len(clips):.3f} CPU s a clip, ", end="")
    print(f"{len(differing)} of {len(clips)} clips have other words", flush=True)
    for full, short in differing[:3]:
        print(f"    {' '.join(full)[:80]!r} became {' '.join(short)[:80]!r}")
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ravdess", type=Path, default=RAVDESS)
    parser.add_argument("--every", type=int, default=31)
    parser.add_argument("--context-s", nargs="+", default=["25", "20", "15", "10", "+3"])
    parser.add_argument("--model", default="whisper:tiny.en")
    arguments = parser.parse_args()
    need(arguments.ravdess)
    files = sorted(arguments.ravdess.glob("Actor_*/*.flac"))[:: arguments.every]
    clips = [np.asarray(soundfile.read(file, dtype="int16")[0]) for file in files]
    reader = Reader(arguments.model)
    full = report(reader, clips, str(CHUNK_S), ())
    for context in arguments.context_s:
        report(reader, clips, context, full)


if __name__ == "__main__":
    main()
