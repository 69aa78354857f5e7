"""The times of words from a speech model with a CTC head: the forced alignment of WhisperX (Bain et al. 2023, section
3.3), batched.

Spelling, the wildcard, the trellis and how frames become seconds are those of WhisperX 3.8.6, so that on equal
emissions every word has equal times. One thing is not: WhisperX hands every model raw samples; here they are scaled as
the model's `preprocessor_config.json` says, which is how it was trained.

Shape letters: T frames, V symbols.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mmer_ray.audio.pcm import to_float
from mmer_ray.errors import PreflightError, ProfileError
from mmer_ray.models import wav2vec2
from mmer_ray.models.aligner_files import read_normalises, read_vocabulary
from mmer_ray.models.encoders import load_speech_ctc
from mmer_ray.models.gpu_clock import forward_pass
from mmer_ray.models.resolver import ResolvedModel, resolve
from mmer_ray.profiles import TranscribeOptions
from mmer_ray.recognizers.alignment import Speech, Trellis, align
from mmer_ray.recognizers.members import aligner_refs
from mmer_ray.records import SAMPLE_RATE_HZ, Samples

WORD_BREAK = "|"
"""What stands for a space in the vocabularies of these models."""
BLANKS = ("[pad]", "<pad>")

Times = tuple[float, float]
"""Seconds from the start of the sound."""


class Spelled(NamedTuple):
    """Words as symbols of a vocabulary."""

    symbols: list[int]
    words: list[int]
    """For each symbol the position of its word; -1 for a break between words."""


class Aligner:
    """Times words of one language. Safe to call from several threads.

    Every sound goes through the model by itself, whatever the batch: sums of a padded batch are rounded otherwise (by
    up to 4e-6 at wav2vec2-base's size), and a batch is no faster on a CPU. The trellises of all go side by side.
    """

    def __init__(self, model: ResolvedModel) -> None:
        """Load a folder of the kind `aligner`. Raises `PreflightError` where it cannot be used."""
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        network: Any = wav2vec2.fold_weight_norm(load_speech_ctc(model.path))
        self._model = network.to(self._device)
        self._vocabulary = read_vocabulary(model.path)
        self._normalises = read_normalises(model.path)
        self._min_samples = wav2vec2.min_samples(network.config)
        self._blank = blank_of(self._vocabulary, network.config.pad_token_id or 0)
        self._wildcard: int = network.config.vocab_size
        if max(self._vocabulary.values()) >= self._wildcard:
            raise PreflightError(f"{model.path}: its vocabulary has more symbols than its model, {self._wildcard}")

    def times(
        self, sounds: Sequence[Samples], texts: Sequence[Sequence[str]], *, spaced: bool
    ) -> list[list[Times | None]]:
        """Say when each word of each text is said in its sound: int16, 16 kHz, shape (num_samples,).

        `spaced`: words stand apart in the language's writing. None for a word that cannot be aligned: one that spells
        nothing, and all of a text that has more symbols than its sound has frames.
        """
        emissions = [self._predict(samples) for samples in sounds]
        spelled = [spell(words, self._vocabulary, self._wildcard, spaced=spaced) for words in texts]
        return locate(emissions, spelled, texts, [len(samples) / SAMPLE_RATE_HZ for samples in sounds], self._blank)

    def _predict(self, samples: Samples) -> NDArray[np.float32]:
        """Run the model over one sound: as `with_wildcard`, shape (T, V + 1)."""
        speech = to_float(samples)
        if self._normalises:
            speech = wav2vec2.normalise(speech)
        padded = np.pad(speech, (0, max(0, self._min_samples - len(speech))))
        with forward_pass(self._device):
            logits_TV = self._model(torch.from_numpy(padded)[None].to(self._device)).logits[0]
            logprobs_TV = torch.log_softmax(logits_TV.float(), dim=-1).cpu().numpy()
        return with_wildcard(logprobs_TV, self._blank)


def load_aligners(options: TranscribeOptions, known: Sequence[str]) -> dict[str, Aligner]:
    """Load the aligners that a profile names: language -> aligner. `known`: the languages that the recognizer reads.

    Raises `ProfileError` for another language, `PreflightError` where a model is missing or cannot be used.
    """
    refs = aligner_refs(options)
    if unread := [language for language in refs if language not in known]:
        raise ProfileError(
            f"transcribe.align_models: the model of transcribe.model does not read {', '.join(map(repr, unread))}; "
            f"it reads {', '.join(known)}"
        )
    return {language: Aligner(resolve(ref)) for language, ref in refs.items()}


def blank_of(vocabulary: Mapping[str, int], padding: int) -> int:
    """The symbol that stands for none: the one that is named so, else the model's padding."""
    return next((vocabulary[name] for name in BLANKS if name in vocabulary), padding)


def with_wildcard(logprobs_TV: NDArray[np.float32], blank: int) -> NDArray[np.float32]:
    """Add the column of a symbol that is as probable as the best one but the blank: float32, shape (T, V + 1).

    It stands for every character that the vocabulary lacks: digits, marks, other scripts.
    """
    others_TV = np.delete(logprobs_TV, blank, axis=1)
    return np.concatenate([logprobs_TV, others_TV.max(axis=1, keepdims=True)], axis=1)


def spell(words: Sequence[str], vocabulary: Mapping[str, int], wildcard: int, *, spaced: bool) -> Spelled:
    """Write words in a vocabulary, in lower case, with a break between them where the language has one."""
    symbols: list[int] = []
    owners: list[int] = []
    for position, word in enumerate(words):
        characters = [(char.lower(), position) for char in word]
        if position and spaced:
            characters.insert(0, (WORD_BREAK, -1))
        for character, owner in characters:
            if character in vocabulary or character not in (" ", WORD_BREAK):
                symbols.append(vocabulary.get(character, wildcard))
                owners.append(owner)
    return Spelled(symbols, owners)


def locate(
    emissions: Sequence[NDArray[np.float32]],
    spelled: Sequence[Spelled],
    texts: Sequence[Sequence[str]],
    durations_s: Sequence[float],
    blank: int,
) -> list[list[Times | None]]:
    """Find the times of words in emissions with a wildcard, each float32, shape (T, V + 1).

    The frames of a sound share out its duration. A word lasts until the next symbol, a break for most, begins.
    """
    speech = [Speech(logprobs_TV, one.symbols) for logprobs_TV, one in zip(emissions, spelled, strict=True)]
    found: list[list[Times | None]] = []
    for spans, one, words, heard, duration_s in zip(
        align(speech, blank, Trellis.ONE_FRAME), spelled, texts, speech, durations_s, strict=True
    ):
        times: list[Times | None] = [None] * len(words)
        frame_s = duration_s / max(1, len(heard.logprobs))
        for span, owner in zip(spans or (), one.words if spans else (), strict=True):
            if owner >= 0:
                begun = times[owner]
                times[owner] = (span.first * frame_s if begun is None else begun[0], span.end * frame_s)
        found.append(times)
    return found
