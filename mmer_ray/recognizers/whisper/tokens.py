"""What is used of faster-whisper: its features and its tokenizer. No other file imports it.

Shape letters: M mel bins, F frames of 10 ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import tokenizers
from faster_whisper.feature_extractor import FeatureExtractor
from faster_whisper.tokenizer import _LANGUAGE_CODES, Tokenizer
from numpy.typing import NDArray

from mmer_ray.audio.pcm import to_float
from mmer_ray.records import Samples

ENGLISH = "en"
UNSPACED = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
"""Languages whose words the tokenizer of faster-whisper does not part by spaces."""
CHUNK_S = 30
"""What the model was trained on, and the length that every chunk is padded to."""
FRAMES_PER_S = 100
NUM_FRAMES = CHUNK_S * FRAMES_PER_S
PADDING_SAMPLES = 800
"""Silence behind a chunk: two windows of the spectrum, so that the last frame holds nothing else."""
MAX_PROMPT_TOKENS = 223
"""Half of the decoder's context of 448, less the token that begins a prompt (Whisper's `decoding.py`)."""


class LogMel:
    """The model's features: log-mel energies of a chunk padded with silence to 30 s."""

    def __init__(self, num_mels: int) -> None:
        self._extract = FeatureExtractor(feature_size=num_mels)

    def __call__(self, samples: Samples) -> NDArray[np.float32]:
        """Describe a chunk of at most 30 s: int16, shape (num_samples,) -> float32, shape (M, 3000)."""
        features_MF = self._extract(to_float(samples), padding=PADDING_SAMPLES)[:, :NUM_FRAMES]
        # All frames of silence are alike: the last is repeated.
        missing = NUM_FRAMES - features_MF.shape[1]
        return np.pad(features_MF, ((0, 0), (0, missing)), mode="edge").astype(np.float32)


class Tokens:
    """The vocabulary of one model. Safe to call from several threads."""

    def __init__(self, folder: Path, *, multilingual: bool) -> None:
        self._vocabulary = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._multilingual = multilingual
        self._of_language = cache(self._load)

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that the model knows."""
        if not self._multilingual:
            return (ENGLISH,)
        return tuple(code for code in _LANGUAGE_CODES if self._vocabulary.token_to_id(f"<|{code}|>") is not None)

    def start(self, language: str) -> list[int]:
        """The tokens that ask for a transcript in a language."""
        return list(self._of_language(language).sot_sequence)

    def prompt(self, language: str, keywords: Iterable[str], earlier: str = "") -> list[int]:
        """The tokens that a transcript without times begins with; `keywords` stand in front of the `earlier` text.

        Of keywords that are too many the first are taken, of text that is too long its end.
        """
        tokenizer = self._of_language(language)
        expected = self._spelled(tokenizer, ", ".join(keywords))[:MAX_PROMPT_TOKENS]
        if room := MAX_PROMPT_TOKENS - len(expected):
            expected += self._spelled(tokenizer, earlier)[-room:]
        before = [tokenizer.sot_prev, *expected] if expected else []
        return [*before, *tokenizer.sot_sequence, tokenizer.no_timestamps]

    def num_keyword_tokens(self, keywords: Iterable[str]) -> int:
        """Tokens that keywords take of the `MAX_PROMPT_TOKENS` of a prompt."""
        return len(self._spelled(self._of_language(self.languages[0]), ", ".join(keywords)))

    def _spelled(self, tokenizer: Tokenizer, text: str) -> list[int]:
        return list(tokenizer.encode(f" {text}")) if text else []

    def text_only(self, tokens: Iterable[int]) -> list[int]:
        """Leave out the tokens that spell nothing."""
        end = self._of_language(self.languages[0]).eot
        return [token for token in tokens if token < end]

    def decode(self, tokens: Sequence[int]) -> str:
        """Spell tokens."""
        return str(self._of_language(self.languages[0]).decode(list(tokens))).strip()

    def split_words(self, tokens: Sequence[int], language: str) -> list[tuple[str, int]]:
        """Part text tokens into words and marks: each with its number of tokens, in order.

        Where a language puts no spaces between words, each character is one.
        """
        if not tokens:
            return []
        words, parts = self._of_language(language).split_to_word_tokens(list(tokens))
        return [(word, len(part)) for word, part in zip(words, parts, strict=True)]

    def _load(self, language: str) -> Tokenizer:
        return Tokenizer(self._vocabulary, self._multilingual, task="transcribe", language=language)
