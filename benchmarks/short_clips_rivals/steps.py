"""The steps that all rivals but ours share: decoding, features, the model, and notes of what each step took.

Imports nothing of mmer_ray: Daft's environment has not got it.
"""

from __future__ import annotations

import argparse
import io
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

RATE_HZ, CHUNK_S = 16_000, 30
MAX_LENGTH = 448
"""As `mmer_ray/recognizers/whisper/network.py`, so that texts can be equal."""
COLUMN, ROW = "audio", "row"


def arguments() -> argparse.Namespace:
    """What `short_clips.py` tells a rival."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=Path, help="a Parquet file with the columns audio (bytes, path) and row")
    parser.add_argument("--into", type=Path, help="a folder for the texts, Parquet files with the columns row and text")
    parser.add_argument("--notes", type=Path, help="a folder for what each step took")
    parser.add_argument("--model", type=Path, help="a Whisper in CTranslate2's format")
    parser.add_argument("--beam", type=int)
    parser.add_argument("--cores", type=int)
    return parser.parse_args()


@contextmanager
def noted(notes: Path, step: str) -> Iterator[None]:
    """Append the seconds of a step to this process's notes."""
    begun = time.time()
    yield
    with (notes / f"{step}-{os.getpid()}").open("a") as file:
        file.write(f"{begun} {time.time() - begun}\n")


def decode(data: bytes) -> Any:
    """FLAC to mono samples at 16 kHz: float32, shape (num_samples,)."""
    import soundfile
    from scipy.signal import resample_poly

    samples, rate_hz = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    common = int(np.gcd(rate_hz, RATE_HZ))
    return resample_poly(mono, RATE_HZ // common, rate_hz // common).astype(np.float32)


class LogMel:
    """Whisper's features of a clip padded with silence to 30 s, as the processor of transformers makes them."""

    def __init__(self) -> None:
        from faster_whisper.feature_extractor import FeatureExtractor

        self._extract = FeatureExtractor(feature_size=80)

    def __call__(self, samples: Any) -> Any:
        """float32, shape (num_samples,) -> float32, shape (80, 3000)."""
        padded = np.zeros(CHUNK_S * RATE_HZ, np.float32)
        padded[: len(samples)] = samples[: len(padded)]
        return self._extract(padded, padding=0)[:, : CHUNK_S * 100].astype(np.float32)


class Whisper:
    """The model. Options that are not set here are CTranslate2's own, as they are for mmer_ray."""

    def __init__(self, folder: Path, beam: int, threads: int) -> None:
        import ctranslate2
        import tokenizers

        self._beam = beam
        self._vocabulary = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        names = ("<|startoftranscript|>", "<|notimestamps|>", "<|endoftext|>")
        self._start, self._no_times, self._end = (self._vocabulary.token_to_id(name) for name in names)
        self._model = ctranslate2.models.Whisper(
            str(folder), device="cpu", compute_type="int8", intra_threads=threads, inter_threads=1
        )

    def tokens(self, features: Sequence[Any]) -> list[list[int]]:
        """The tokens of a batch: features of shape (80, 3000) each."""
        import ctranslate2

        answers = self._model.generate(
            ctranslate2.StorageView.from_array(np.ascontiguousarray(np.stack(features), np.float32)),
            [[self._start, self._no_times]] * len(features),
            beam_size=self._beam,
            max_length=MAX_LENGTH,
        )
        return [list(answer.sequences_ids[0]) for answer in answers]

    def text(self, tokens: Sequence[int]) -> str:
        """Spell tokens."""
        return str(self._vocabulary.decode([token for token in tokens if token < self._end])).strip()
