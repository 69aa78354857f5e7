"""A ResNet over log-mel frames with statistics pooling.

Shape letters: B batch, F padded frames, M mel bins, C channels, D embedding size. Padded frames are zeroed before
every convolution, which is what the edge of an unpadded utterance looks like, so padding changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mmer_ray.audio.features import log_mel
from mmer_ray.models.speaker.config import SpeakerConfig

VARIANCE_FLOOR = 1e-5


class SpeakerModel(nn.Module):
    """Log-mel frames in, unit-length embeddings out: voices that are alike have a high cosine."""

    def __init__(self, config: SpeakerConfig) -> None:
        super().__init__()
        self.config = config
        first, *others = config.channels
        self.stem = nn.Conv2d(1, first, 3, stride=2, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(first)
        self.stages = nn.ModuleList([Block(first, first, 1) for _ in range(config.blocks_per_stage)])
        for before, after in zip(config.channels, others, strict=False):
            self.stages.append(Block(before, after, 2))
            self.stages.extend(Block(after, after, 1) for _ in range(config.blocks_per_stage - 1))
        num_bins = config.num_mels // 2 ** len(config.channels)
        self.projection = nn.Linear(2 * config.channels[-1] * num_bins, config.embedding_size)

    def forward(self, features_BFM: Tensor, num_frames_B: Tensor) -> Tensor:
        """Embed voices.

        Takes log-mel features, float32, shape (B, F, M), padded with anything, and true frame counts, int64, shape
        (B,). Returns embeddings of length one, float, shape (B, D).
        """
        hidden_BCFM = _silence_padding(features_BFM[:, None], num_frames_B)
        hidden_BCFM = functional.relu(self.stem_norm(self.stem(hidden_BCFM)))
        num_frames_B = _strided(num_frames_B, 2)
        hidden_BCFM = _silence_padding(hidden_BCFM, num_frames_B)
        for block in self.stages:
            hidden_BCFM, num_frames_B = block(hidden_BCFM, num_frames_B)
        embedding_BD: Tensor = self.projection(_pool(hidden_BCFM, num_frames_B))
        return functional.normalize(embedding_BD.float(), dim=-1)


class Block(nn.Module):
    """Two convolutions and a way around them."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.first = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(channels_out)
        self.second = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(channels_out)
        same = stride == 1 and channels_in == channels_out
        self.around = nn.Identity() if same else nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False)

    def forward(self, hidden_BCFM: Tensor, num_frames_B: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, C, F, M) and true frame counts to the same, strided."""
        num_frames_B = _strided(num_frames_B, self.stride)
        inner_BCFM = functional.relu(self.first_norm(self.first(hidden_BCFM)))
        inner_BCFM = self.second_norm(self.second(_silence_padding(inner_BCFM, num_frames_B)))
        hidden_BCFM = functional.relu(inner_BCFM + self.around(hidden_BCFM))
        return _silence_padding(hidden_BCFM, num_frames_B), num_frames_B


def embed(model: SpeakerModel, segments: Sequence[NDArray[np.float32]], *, batch_size: int = 32) -> NDArray[np.float32]:
    """Embed segments of speech, each float32, shape (num_samples,), 16 kHz, of any lengths.

    Returns float32, shape (num_segments, embedding_size), rows of length one: a dot product is a cosine.
    """
    features = [log_mel(samples, model.config.num_mels) for samples in segments]
    rows = np.zeros((len(segments), model.config.embedding_size), np.float32)
    order = sorted(range(len(features)), key=lambda index: len(features[index]))
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            rows[chosen] = model(*pad_features([features[index] for index in chosen])).numpy()
    return rows


def pad_features(features: Sequence[NDArray[np.float32]]) -> tuple[Tensor, Tensor]:
    """Stack features of shape (num_frames, M): float32, shape (B, F, M), and frame counts, int64, shape (B,)."""
    num_frames_B = torch.tensor([len(one) for one in features], dtype=torch.int64)
    padded_BFM = torch.zeros(len(features), int(num_frames_B.max()), features[0].shape[1])
    for row, one in zip(padded_BFM, features, strict=True):
        row[: len(one)] = torch.from_numpy(one)
    return padded_BFM, num_frames_B


def _strided(num_frames_B: Tensor, stride: int) -> Tensor:
    """Frames that are left after a convolution of kernel 3 and padding 1."""
    return torch.div(num_frames_B - 1, stride, rounding_mode="floor") + 1


def _frame_mask(hidden_BCFM: Tensor, num_frames_B: Tensor) -> Tensor:
    positions_F = torch.arange(hidden_BCFM.shape[2], device=hidden_BCFM.device)
    mask_BF = positions_F[None] < num_frames_B[:, None]
    return mask_BF[:, None, :, None].to(hidden_BCFM.dtype)


def _silence_padding(hidden_BCFM: Tensor, num_frames_B: Tensor) -> Tensor:
    return hidden_BCFM * _frame_mask(hidden_BCFM, num_frames_B)


def _pool(hidden_BCFM: Tensor, num_frames_B: Tensor) -> Tensor:
    """Take mean and standard deviation over true frames: float, shape (B, 2 * C * M)."""
    mask_B1F1 = _frame_mask(hidden_BCFM, num_frames_B)
    count_B11 = num_frames_B[:, None, None]
    mean_BCM = (hidden_BCFM * mask_B1F1).sum(dim=2) / count_B11
    spread_BCFM = (hidden_BCFM - mean_BCM[:, :, None]) * mask_B1F1
    deviation_BCM = torch.sqrt(spread_BCFM.square().sum(dim=2) / count_B11 + VARIANCE_FLOOR)
    return torch.cat([mean_BCM, deviation_BCM], dim=1).flatten(1)
