"""What a frozen speech encoder makes of a clip, as one vector: the features of the probe."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from mmer_ray.models.frozen_encoder.checkpoint import on_encoder
from mmer_ray.models.wav2vec2 import pad_batch
from mmer_ray.records import Clip
from mmer_ray.training.emotion_recipes import ALONE, DEFAULT_ENCODER


def vectors_of(encoder_name: str = DEFAULT_ENCODER) -> Callable[[Clip], NDArray[np.float64]]:
    """Load a Whisper, named as a profile names it: clip -> mean and deviation of its frames, float64, shape (D,).

    Raises `PreflightError` where the encoder is not on this machine.
    """
    model = on_encoder(ALONE.config, encoder_name).eval()

    def vector_of(clip: Clip) -> NDArray[np.float64]:
        with torch.inference_mode():
            vector_BD = model.listen(*pad_batch([clip.samples]))
        return vector_BD[0].double().numpy()

    return vector_of
