"""The embeddings of pieces of sound, many windows at once.

Shape letters: P feature frames, M mel bands, N pieces, E embedding size, B batch, F padded frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from mmer_ray.audio.features import HOP_SAMPLES, WINDOW_SAMPLES
from mmer_ray.audio.pcm import to_float
from mmer_ray.diarizers.local_reading import LocalReading
from mmer_ray.diarizers.pieces import Piece
from mmer_ray.models.batches import length_buckets
from mmer_ray.models.campplus.features import filterbank
from mmer_ray.models.campplus.model import CampplusModel
from mmer_ray.models.gpu_clock import forward_pass
from mmer_ray.records import Samples

MIN_FEATURES = 10
"""Feature frames that a piece has at least; a shorter one takes those around it."""
BATCH_FRAMES = 4_000
"""Padded feature frames of one forward pass, 40 s of sound: about 200 MB of activations."""


class VoiceEmbedder:
    """Embeds pieces of many windows at once."""

    def __init__(self, model: CampplusModel, device: str) -> None:
        self._model = model.to(device)
        self._device = device
        self.embedding_size = model.config.embedding_size

    def features(self, samples: Samples, reading: LocalReading, pieces: Sequence[Piece]) -> list[NDArray[np.float32]]:
        """Take the feature frames of each piece: float32, shape (P, M), their mean taken out."""
        energies = filterbank(to_float(samples), self._model.config.num_mels)
        centres = np.arange(len(energies)) * HOP_SAMPLES + WINDOW_SAMPLES / 2
        frame_of_feature = np.round((centres - reading.first_centre) / reading.frame_samples).astype(np.int64)
        found: list[NDArray[np.float32]] = []
        for piece in pieces:
            first, last = np.searchsorted(frame_of_feature, [piece.frames[0], piece.frames[-1] + 1])
            inside = np.isin(frame_of_feature[first:last], piece.frames)
            chosen = energies[first:last][inside]
            if len(chosen) < MIN_FEATURES:
                chosen = energies[max(0, first - MIN_FEATURES) : first + MIN_FEATURES]
            found.append(chosen - chosen.mean(axis=0))
        return found

    def embed(self, features: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Embed features, float32, shape (P, M) each: L2-normalised, float32, shape (N, E)."""
        embeddings_NE = np.zeros((len(features), self.embedding_size), np.float32)
        for bucket in length_buckets([len(one) for one in features], BATCH_FRAMES):
            num_frames_B = torch.tensor([len(features[index]) for index in bucket])
            padded_BFM = torch.zeros(len(bucket), int(num_frames_B.max()), features[bucket[0]].shape[1])
            for row, index in zip(padded_BFM, bucket, strict=True):
                row[: len(features[index])] = torch.from_numpy(features[index])
            with forward_pass(self._device):
                embedded_BE = self._model(padded_BFM.to(self._device), num_frames_B.to(self._device))
            embeddings_NE[bucket] = embedded_BE.cpu().numpy()
        return embeddings_NE
