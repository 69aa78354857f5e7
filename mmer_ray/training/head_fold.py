"""One training of a head on a frozen encoder: every clip is encoded once, then the head is solved at once or by steps.

Shape letters: N utterances, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from mmer_ray.models.frozen_encoder import checkpoint
from mmer_ray.models.frozen_encoder.model import FrozenEncoderModel
from mmer_ray.models.interface import Clip, EmotionModel
from mmer_ray.models.library import PreTrainedTokenizerBase
from mmer_ray.training import world
from mmer_ray.training.clips import load_clip
from mmer_ray.training.datasets import LabelledClip
from mmer_ray.training.emotion_recipes import ALONE
from mmer_ray.training.encoded_clips import EncodedClip, encode
from mmer_ray.training.fit import OnStep
from mmer_ray.training.frozen_encoder import logits_of, train_head
from mmer_ray.training.predictions import Predictions
from mmer_ray.training.run import DEVELOPMENT, TEST
from mmer_ray.training.utterances import Utterance

if TYPE_CHECKING:
    from mmer_ray.training.one_fold import FoldTask

SOUNDS_AT_ONCE = 256
"""Sounds that lie in memory together."""
RECIPE = ALONE
"""Each clip judged by itself, by a linear head: what did best on a few hundred clips (docs/models.md)."""


def train_head_fold(
    task: FoldTask, device: torch.device | str, on_step: OnStep | None
) -> tuple[dict[str, Predictions], EmotionModel, PreTrainedTokenizerBase | None]:
    """Train the head; its answers, by the names of their files, and the model.

    The encoder works on `device`, the head, which takes seconds, on the CPU. All that the encoder makes of the training
    set is held at once, 38 kB a second of speech: 1 GB for IEMOCAP.
    """
    encoder, text_encoder = task.asked.architecture.names
    assert encoder is not None
    torch.manual_seed(task.seed)
    config = RECIPE.config
    if set(config.labels) != set(task.labels):
        config = replace(config, labels=task.labels)
    model = checkpoint.on_encoder(config, encoder, text_encoder)
    model.encoder.to(device)
    split = task.split
    encoded = _encode(model, split.train, task.features)
    train_head(model, encoded, replace(RECIPE.head, seed=task.seed))
    if on_step is not None:
        on_step(1, 1)
    predictions = {}
    for name, utterances in ((DEVELOPMENT, split.development), (TEST, split.test)):
        if utterances:
            encoded = _encode(model, utterances, task.features)
            logits_NK = logits_of(model, encoded, alone=True).numpy().astype(np.float32)
            predictions[name] = Predictions(utterances, model.labels, logits_NK, fold=split.name, seed=task.seed)
    return predictions, model, None


def _encode(model: FrozenEncoderModel, utterances: Sequence[Utterance], features: Path | None) -> list[EncodedClip]:
    """Encode utterances, shared among the workers; all get all of them, in order."""
    mine = range(world.rank(), len(utterances), world.size())
    encoded: list[EncodedClip] = []
    for first in range(0, len(mine), SOUNDS_AT_ONCE):
        clips = [_labelled(utterances[row]) for row in mine[first : first + SOUNDS_AT_ONCE]]
        encoded += encode(model, clips, features=features)
    found = world.gather(list(zip(mine, encoded, strict=True)))
    return [one for _, one in sorted(found, key=lambda pair: pair[0])]


def _labelled(utterance: Utterance) -> LabelledClip:
    assert utterance.label is not None
    clip = load_clip(utterance)
    return LabelledClip(Clip(clip.samples, clip.text), utterance.label, utterance.speaker)
