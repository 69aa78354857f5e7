"""Pieces of sound in which one local speaker talks alone, and their embeddings.

Shape letters: P features frames, M mel bands, N pieces, E embedding size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mmer_ray.audio.features import HOP_SAMPLES, WINDOW_SAMPLES
from mmer_ray.audio.pcm import to_float
from mmer_ray.diarizers.local_speakers import LocalReading
from mmer_ray.models.batches import length_buckets
from mmer_ray.models.campplus.features import filterbank
from mmer_ray.models.campplus.model import CampplusModel
from mmer_ray.models.gpu_clock import forward_pass
from mmer_ray.records import SAMPLE_RATE_HZ, Samples

PIECE_S = 2.0
"""Long enough to tell voices. Longer ones would hide that the network took two voices for one."""
MIN_PIECE_S = 0.3
"""Shorter ones say nothing about a voice."""
MIN_FEATURES = 10
"""Feature frames that a piece has at least; a shorter one takes those around it."""
BATCH_FRAMES = 4_000
"""Padded feature frames of one forward pass, 40 s of sound: about 200 MB of activations."""
FEATURE_S = HOP_SAMPLES / SAMPLE_RATE_HZ


@dataclass(frozen=True)
class Piece:
    """Sound of one local speaker of one chunk, without gaps and without others."""

    chunk: int
    local: int
    frames: NDArray[np.int64]
    """Frames of the window, ascending; pauses between them are left out."""
    frame_s: float

    @property
    def seconds(self) -> float:
        """How much sound it is."""
        return len(self.frames) * self.frame_s

    @property
    def centre(self) -> float:
        """Its middle, in frames of the window."""
        return float(self.frames.mean())


def cut_pieces(reading: LocalReading) -> list[Piece]:
    """Cut what each local speaker says alone in the middle of each chunk into pieces of about `PIECE_S`."""
    pieces: list[Piece] = []
    for chunk, begin, end in reading.middles():
        offset = int(reading.chunk_begins[chunk])
        active_TL = reading.active[chunk, begin - offset : end - offset]
        alone_TL = active_TL & (active_TL.sum(axis=1, keepdims=True) == 1)
        for local in range(alone_TL.shape[1]):
            frames = begin + np.flatnonzero(alone_TL[:, local])
            seconds = len(frames) * reading.frame_s
            if seconds >= MIN_PIECE_S:
                parts = np.array_split(frames, max(1, round(seconds / PIECE_S)))
                pieces.extend(Piece(chunk, local, part, reading.frame_s) for part in parts)
    return pieces or _longest(reading)


def _longest(reading: LocalReading) -> list[Piece]:
    """Where nobody talks alone for long enough: the longest that is there, so that no speech is without a speaker."""
    pieces: list[Piece] = []
    for chunk, begin, end in reading.middles():
        offset = int(reading.chunk_begins[chunk])
        for local, active_T in enumerate(reading.active[chunk, begin - offset : end - offset].T):
            if active_T.any():
                pieces.append(Piece(chunk, local, begin + np.flatnonzero(active_T), reading.frame_s))
    return sorted(pieces, key=lambda piece: -len(piece.frames))[:1]


def opinions(pieces: Sequence[Piece]) -> NDArray[np.float64]:
    """What the network says of two pieces: 1 one speaker, -1 two, 0 nothing, as they lie in two chunks; (N, N)."""
    chunk_N = np.array([piece.chunk for piece in pieces])
    local_N = np.array([piece.local for piece in pieces])
    same_chunk_NN = chunk_N[:, None] == chunk_N
    opinions_NN = np.where(same_chunk_NN, np.where(local_N[:, None] == local_N, 1.0, -1.0), 0.0)
    np.fill_diagonal(opinions_NN, 0.0)
    return opinions_NN


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
