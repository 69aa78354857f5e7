"""Clips as a frozen encoder hears them: what heads of `frozen_encoder` are trained on.

The encoder never changes, so every clip goes through it once for each of its variations.

Shape letters: L layers, T frames, H hidden size, W of the text encoder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmer_ray.models.batches import LIKE_LENGTH, length_buckets
from mmer_ray.models.encoders import MAX_TOKENS
from mmer_ray.models.frozen_encoder.model import FrozenEncoderModel
from mmer_ray.models.interface import Clip, collate
from mmer_ray.models.named_parts import named_tokenizer
from mmer_ray.models.wav2vec2 import pad_batch
from mmer_ray.records import SAMPLE_RATE_HZ
from mmer_ray.training.augment import Conditions, augment, respeak
from mmer_ray.training.clips import Samples
from mmer_ray.training.datasets import LabelledClip
from mmer_ray.training.features import FeatureCache, encoder_digest, sound_digest, text_digest

ENCODED_S = 30.0
"""Padded seconds that go through the encoder at once."""
CHAIN = Conditions(reverberation=0.2, noise=0.4, telephone=0.25, opus=0.0, low_pass=0.2, hiss=0.5)
Vary = Callable[[Samples, np.random.Generator], Samples]


class EncodedClip(NamedTuple):
    """What the frozen encoder makes of one clip or of a variation of it."""

    states: Tensor
    """Float16, shape (L, T, H): on a disk or in memory half of float32, and no head needs more."""
    label: int
    """Index into the model's labels."""
    speaker: str
    variation: int = 0
    """0: the clip itself. A variation has the company of its like alone."""
    text: Tensor | None = None
    """Float32, shape (W,): what the frozen text encoder makes of its transcript; None: the model reads no text."""


def encode(
    model: FrozenEncoderModel,
    clips: Sequence[LabelledClip],
    vary: Vary | None = None,
    variation: int = 0,
    features: Path | None = None,
) -> list[EncodedClip]:
    """Run clips, or their random variations of a number, through the encoders; one answer each, in order.

    `features`: a folder of `features.FeatureCache`, where what was encoded before is read and what is new is kept.
    Raises `ValueError` where a clip's label is none of the model's, or where its text encoder is not a frozen one.
    """
    if unknown := sorted({clip.label for clip in clips} - set(model.labels)):
        raise ValueError(f"clips are labelled {', '.join(unknown)}; the model's labels are {', '.join(model.labels)}")
    sounds = [one.clip.samples for one in clips]
    if vary is not None:
        sounds = [vary(samples, np.random.default_rng((variation, index))) for index, samples in enumerate(sounds)]
    states = _listen(model, sounds, features)
    texts = _read_texts(model, clips, features)
    return [
        EncodedClip(states[row], model.labels.index(clip.label), clip.speaker, variation, texts[row])
        for row, clip in enumerate(clips)
    ]


def _listen(model: FrozenEncoderModel, sounds: Sequence[Samples], features: Path | None) -> list[Tensor]:
    """What the speech encoder makes of each sound: float16, shape (L, T, H)."""
    if features is None:
        return _encode_sounds(model, sounds)
    cache = FeatureCache(features, encoder_digest(model.encoder, "float16", model.config.layers))
    return cache.through(
        [sound_digest(samples) for samples in sounds],
        lambda places: _encode_sounds(model, [sounds[place] for place in places]),
    )


def _encode_sounds(model: FrozenEncoderModel, sounds: Sequence[Samples]) -> list[Tensor]:
    """Run sounds through the encoder on its device; what comes out lies in the host's memory."""
    device = next(model.encoder.parameters()).device
    states: dict[int, Tensor] = {}
    for rows in length_buckets([len(samples) for samples in sounds], ENCODED_S * SAMPLE_RATE_HZ, LIKE_LENGTH):
        samples_BS, num_samples_B = pad_batch([sounds[row] for row in rows])
        with torch.inference_mode():
            states_BLTH, num_frames_B = model.encode(samples_BS.to(device), num_samples_B.to(device))
        for row, states_LTH, num_frames in zip(rows, states_BLTH, num_frames_B.tolist(), strict=True):
            states[row] = states_LTH[:, :num_frames].to("cpu", torch.float16)
    return [states[row] for row in range(len(sounds))]


def _read_texts(model: FrozenEncoderModel, clips: Sequence[LabelledClip], features: Path | None) -> list[Tensor | None]:
    """What the text encoder makes of each clip's transcript: float32, shape (W,)."""
    if model.config.text is None:
        return [None] * len(clips)
    if model.config.text_name is None:
        raise ValueError("heads are trained on a frozen text encoder: name one (text_name), such as minilm")
    tokenizer = named_tokenizer(model)
    silence = np.zeros(1, np.float32)

    def read(texts: Sequence[str]) -> list[Tensor]:
        with torch.inference_mode():
            return list(model.read(collate([Clip(silence, text) for text in texts], tokenizer)).float())

    # The same sentence may come many times: it is read once.
    texts = sorted({one.clip.text for one in clips})
    if features is None:
        found = read(texts)
    else:
        cache = FeatureCache(features, encoder_digest(model.get_submodule("text"), MAX_TOKENS))
        found = cache.through([text_digest(text) for text in texts], lambda places: read([texts[at] for at in places]))
    rows = dict(zip(texts, found, strict=True))
    return [rows[one.clip.text] for one in clips]


def vary_voice(samples: Samples, rng: np.random.Generator) -> Samples:
    """Another voice and another recording chain: speed with pitch, spectral tilt, band, noise, room."""
    return augment(respeak(samples, rng, speed=0.12, tilt_db=3.0), rng, CHAIN)


def encode_all(
    model: FrozenEncoderModel, clips: Sequence[LabelledClip], num_variations: int, features: Path | None = None
) -> list[EncodedClip]:
    """The clips, encoded, then as many variations of each: `len(clips)` at a time, in order; `features` as `encode`."""
    encoded = encode(model, clips, features=features)
    for number in range(1, num_variations + 1):
        encoded += encode(model, clips, vary_voice, number, features)
    return encoded
