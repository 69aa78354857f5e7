"""A ResNet over log-mel frames with statistics pooling.

Shape letters: B batch, F padded frames, M mel bands, C channels, D embedding size, P pooled statistics. Padded frames
are zeroed before every convolution, which is what the edge of an unpadded utterance looks like, and batch statistics
count true frames alone, so padding changes nothing.
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
from mmer_ray.models.speaker.features import masked_mean
from mmer_ray.models.wav2vec2 import frame_mask


class SpeakerModel(nn.Module):
    """Log-mel frames in, speaker embeddings of length one out: like speakers have a high cosine."""

    def __init__(self, config: SpeakerConfig) -> None:
        super().__init__()
        self.config = config
        first = config.channels[0]
        self.stem = nn.Conv2d(1, first, 3, stride=config.stem_stride, padding=1, bias=False)
        self.stem_norm = FrameNorm(first)
        self.stages = nn.ModuleList()
        before = first
        for stage, (after, num_blocks) in enumerate(zip(config.channels, config.blocks_of_stage, strict=True)):
            for block in range(num_blocks):
                self.stages.append(Block(before, after, 2 if stage and not block else 1, config.shortcut_norm))
                before = after
        self.projection = nn.Linear(2 * before * config.num_pooled_bands, config.embedding_size)

    def forward(self, features_BFM: Tensor, num_frames_B: Tensor) -> Tensor:
        """Compute speaker embeddings.

        Takes log-mel features, float32, shape (B, F, M), padded with anything, and true frame counts, int64, shape
        (B,). Returns embeddings of length one, float, shape (B, D).
        """
        embedding_BD = self.project(self.centre(features_BFM, num_frames_B), num_frames_B)
        return functional.normalize(embedding_BD.float(), dim=-1)

    def centre(self, features_BFM: Tensor, num_frames_B: Tensor) -> Tensor:
        """Subtract each band's mean where the configuration says so: float, shape (B, F, M), in and out."""
        if not self.config.centre_bands:
            return features_BFM
        mask_BF1 = frame_mask(num_frames_B, features_BFM.shape[1])[:, :, None]
        return features_BFM - masked_mean(features_BFM, mask_BF1, (1,))

    def project(self, centred_BFM: Tensor, num_frames_B: Tensor) -> Tensor:
        """Embed centred features as `forward` does, but leave the length as it comes: float, shape (B, D)."""
        hidden_BCFM = _silence_padding(centred_BFM[:, None], num_frames_B)
        hidden_BCFM = self.stem(hidden_BCFM)
        num_frames_B = _strided(num_frames_B, self.config.stem_stride)
        hidden_BCFM = functional.relu(self.stem_norm(hidden_BCFM, num_frames_B))
        hidden_BCFM = _silence_padding(hidden_BCFM, num_frames_B)
        for block in self.stages:
            hidden_BCFM, num_frames_B = block(hidden_BCFM, num_frames_B)
        pooled_BP = _pool(hidden_BCFM, num_frames_B, self.config.variance_floor)
        embedding_BD: Tensor = self.projection(pooled_BP.to(hidden_BCFM.dtype))
        return embedding_BD


class FrameNorm(nn.BatchNorm2d):
    """Batch normalisation whose statistics count true frames alone: its training does not depend on padding."""

    def forward(self, hidden_BCFM: Tensor, num_frames_B: Tensor) -> Tensor:  # type: ignore[override]
        """Normalise channels: float, shape (B, C, F, M), in and out."""
        mask_BF = frame_mask(num_frames_B, hidden_BCFM.shape[2])
        if not self.training or mask_BF.all():
            return super().forward(hidden_BCFM)
        # True frames side by side make one long utterance.
        true_CNM = hidden_BCFM.transpose(1, 2)[mask_BF].transpose(0, 1)
        normed_NCM = super().forward(true_CNM[None])[0].transpose(0, 1)
        normed_BFCM = torch.zeros_like(hidden_BCFM.transpose(1, 2))
        normed_BFCM[mask_BF] = normed_NCM
        return normed_BFCM.transpose(1, 2)


class Block(nn.Module):
    """Two convolutions and a way around them."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, shortcut_norm: bool) -> None:
        super().__init__()
        self.stride = stride
        self.first = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
        self.first_norm = FrameNorm(channels_out)
        self.second = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.second_norm = FrameNorm(channels_out)
        same = stride == 1 and channels_in == channels_out
        self.around = nn.Identity() if same else nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False)
        self.around_norm = None if same or not shortcut_norm else FrameNorm(channels_out)

    def forward(self, hidden_BCFM: Tensor, num_frames_B: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, C, F, M) and true frame counts to the same, strided."""
        num_frames_B = _strided(num_frames_B, self.stride)
        inner_BCFM = functional.relu(self.first_norm(self.first(hidden_BCFM), num_frames_B))
        inner_BCFM = self.second(_silence_padding(inner_BCFM, num_frames_B))
        around_BCFM = self.around(hidden_BCFM)
        if self.around_norm is not None:
            around_BCFM = self.around_norm(around_BCFM, num_frames_B)
        hidden_BCFM = functional.relu(self.second_norm(inner_BCFM, num_frames_B) + around_BCFM)
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
    return frame_mask(num_frames_B, hidden_BCFM.shape[2])[:, None, :, None].to(hidden_BCFM.dtype)


def _silence_padding(hidden_BCFM: Tensor, num_frames_B: Tensor) -> Tensor:
    return hidden_BCFM * _frame_mask(hidden_BCFM, num_frames_B)


def _pool(hidden_BCFM: Tensor, num_frames_B: Tensor, variance_floor: float) -> Tensor:
    """Take mean and standard deviation over true frames: float32, shape (B, 2 * C * M)."""
    # Half precision cannot count the frames of a long utterance.
    hidden_BCFM = hidden_BCFM.float()
    mask_B1F1 = _frame_mask(hidden_BCFM, num_frames_B)
    count_B11 = num_frames_B[:, None, None]
    mean_BCM = (hidden_BCFM * mask_B1F1).sum(dim=2) / count_B11
    spread_BCFM = (hidden_BCFM - mean_BCM[:, :, None]) * mask_B1F1
    deviation_BCM = torch.sqrt(spread_BCFM.square().sum(dim=2) / count_B11 + variance_floor)
    return torch.cat([mean_BCM, deviation_BCM], dim=1).flatten(1)
