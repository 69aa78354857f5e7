"""The network, run by CTranslate2. No other file imports it.

Shape letters: B chunks, M mel bins, F frames of 10 ms, T encoder frames of 20 ms, H values.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import torch
from numpy.typing import NDArray

from mmer_ray.models.gpu_clock import forward_pass

Encoded = NDArray[np.floating[Any]]
"""What the encoder makes of chunks, shape (B, T, H): float32, on a GPU float16."""
MAX_LENGTH = 448
"""The decoder's context; CTranslate2 writes at most half of it."""
ENCODER_FRAME_S = 0.02
COMPUTE_TYPES = {"cpu": "int8", "cuda": "float16"}


@dataclass(frozen=True)
class Search:
    """How text is looked for."""

    beam_width: int = 5
    patience: float = 1.0
    repetition_penalty: float = 1.0
    """Divides the score of tokens that were written before."""
    no_repeat_ngram: int = 0
    """No run of so many tokens is written twice; 0: any may be."""


@dataclass(frozen=True)
class Generated:
    """The best text of a chunk."""

    tokens: tuple[int, ...]
    logprob: float
    """Mean over its tokens and the one that ends it."""
    no_speech_p: float
    """Probability that the chunk holds no speech, as the model says before its first token."""


@dataclass(frozen=True)
class Aligned:
    """Where the tokens of a text lie."""

    starts_s: tuple[float, ...]
    """One for each token, and the time at which the last one ends: from the chunk's start, never falling."""
    probabilities: tuple[float, ...]
    """One for each token."""


class Network:
    """One Whisper model: every answer depends on its own chunk alone. Safe to call from several threads.

    On a CPU each batch takes as many cores as PyTorch's operations do, one in a pipeline (`pipelines/cores.py`), and
    so many batches run side by side that all cores work. CTranslate2 sets the threads of its own workers alone.
    """

    def __init__(self, folder: Path) -> None:
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        threads = torch.get_num_threads()
        batches = max(1, (os.cpu_count() or 1) // threads) if self._device == "cpu" else 1
        self._model = ctranslate2.models.Whisper(
            str(folder),
            device=self._device,
            compute_type=COMPUTE_TYPES[self._device],
            intra_threads=threads,
            inter_threads=batches,
        )

    @property
    def is_multilingual(self) -> bool:
        """Whether the model reads other languages than English and tells them apart."""
        return bool(self._model.is_multilingual)

    @property
    def num_mels(self) -> int:
        return int(self._model.n_mels)

    def encode(self, features_BMF: NDArray[np.float32]) -> Encoded:
        """Run the encoder once, for everything below: float32, shape (B, M, 3000) -> shape (B, 1500, H).

        On a CPU chunk by chunk: what a batch adds there is more than the caches hold (tiny.en: 0.73 CPU seconds a
        chunk alone, 0.80 by four, 0.82 by eight).
        """
        size = 1 if self._device == "cpu" else len(features_BMF)
        encoded: list[Encoded] = []
        for first in range(0, len(features_BMF), size):
            with forward_pass(self._device):
                encoded.append(np.array(self._model.encode(_view(features_BMF[first : first + size]), to_cpu=True)))
        return np.concatenate(encoded)

    def language_probabilities(self, encoded_BTH: Encoded) -> list[dict[str, float]]:
        """Say for each chunk how likely it is in each language. The model must be multilingual."""
        with forward_pass(self._device):
            answers = self._model.detect_language(_view(encoded_BTH))
        return [{token.strip("<|>"): float(p) for token, p in answer} for answer in answers]

    def generate(self, encoded_BTH: Encoded, prompts: Sequence[Sequence[int]], search: Search) -> list[Generated]:
        """Write the best text of each chunk. Prompts may be of several languages but must be of one length."""
        with forward_pass(self._device):
            answers = self._model.generate(
                _view(encoded_BTH),
                [list(prompt) for prompt in prompts],
                beam_size=search.beam_width,
                patience=search.patience,
                repetition_penalty=search.repetition_penalty,
                no_repeat_ngram_size=search.no_repeat_ngram,
                max_length=MAX_LENGTH,
                return_scores=True,
                return_no_speech_prob=True,
            )
        return [_generated(answer) for answer in answers]

    def align(
        self, encoded_BTH: Encoded, start: Sequence[int], texts: Sequence[Sequence[int]], num_frames: Sequence[int]
    ) -> list[Aligned]:
        """Find where the tokens of each chunk's text lie, by cross-attention and dynamic time warping.

        Texts are of the one language of `start` and hold a token each. `num_frames`: frames of 10 ms that are sound.
        """
        of_length: dict[int, list[int]] = defaultdict(list)
        for position, text in enumerate(texts):
            of_length[len(text)].append(position)
        aligned: dict[int, Aligned] = {}
        for length, positions in of_length.items():
            # Beside a longer text CTranslate2 gives probabilities that differ in the last digits.
            with forward_pass(self._device):
                answers = self._model.align(
                    _view(encoded_BTH[positions]),
                    list(start),
                    [list(texts[position]) for position in positions],
                    [num_frames[position] for position in positions],
                )
            aligned |= {position: _aligned(answer, length) for position, answer in zip(positions, answers, strict=True)}
        return [aligned[position] for position in range(len(texts))]


def _view(array: Encoded) -> ctranslate2.StorageView:
    return ctranslate2.StorageView.from_array(np.ascontiguousarray(array))


def _generated(answer: ctranslate2.models.WhisperGenerationResult) -> Generated:
    tokens = tuple(answer.sequences_ids[0])
    # Scores are means over the text; the token that ends it counts too (Whisper's `decoding.py`).
    logprob = answer.scores[0] * len(tokens) / (len(tokens) + 1)
    return Generated(tokens, float(logprob), float(answer.no_speech_prob))


def _aligned(answer: ctranslate2.models.WhisperAlignmentResult, num_tokens: int) -> Aligned:
    """Read where the path enters each token; the token that ends the text is the last one."""
    path = np.array(answer.alignments, dtype=np.int64).reshape(-1, 2)
    first = np.searchsorted(path[:, 0], np.arange(num_tokens + 1))
    starts_s = path[np.minimum(first, len(path) - 1), 1] * ENCODER_FRAME_S
    return Aligned(tuple(starts_s.tolist()), tuple(answer.text_token_probs[:num_tokens]))
