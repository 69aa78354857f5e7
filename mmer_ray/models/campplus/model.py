"""CAM++: Wang et al., "CAM++: A fast and efficient network for speaker verification using context-aware masking"
(Interspeech 2023), section 2.

Shape letters: B utterances, F padded frames, M mel bands, C channels, T time steps (half as many as frames), N context
segments, D embedding size. Padded frames are zeroed before every convolution that looks at its neighbours, and means
count true frames alone: padding changes nothing but the last digits.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmer_ray.models.campplus.config import CampplusConfig
from mmer_ray.models.wav2vec2 import frame_mask


class CampplusModel(nn.Module):
    """Mean-normalised filterbank features in, speaker embeddings of length one out."""

    def __init__(self, config: CampplusConfig) -> None:
        super().__init__()
        self.config = config
        self.head = Head(config)
        num_bands = config.num_mels // 2 ** (len(config.head_blocks) + 1)
        self.tdnn = nn.Conv1d(config.head_channels * num_bands, config.channels, 5, stride=2, padding=2, bias=False)
        self.tdnn_norm = nn.BatchNorm1d(config.channels)
        self.stages, self.transitions = nn.ModuleList(), nn.ModuleList()
        size = config.channels
        for num_layers, dilation in zip(config.stage_layers, config.stage_dilations, strict=True):
            widths = [size + config.growth * index for index in range(num_layers)]
            self.stages.append(nn.ModuleList(DenseLayer(width, dilation, config) for width in widths))
            size = (size + config.growth * num_layers) // 2
            self.transitions.append(Transition(2 * size, size))
        self.output_norm = nn.BatchNorm1d(size)
        self.projection = nn.Conv1d(2 * size, config.embedding_size, 1, bias=False)
        self.projection_norm = nn.BatchNorm1d(config.embedding_size, affine=False)

    def forward(self, features_BFM: Tensor, num_frames_B: Tensor) -> Tensor:
        """Compute speaker embeddings.

        Takes features, float32, shape (B, F, M), padded with anything, and true frame counts, int64, shape (B,), at
        least 3 each. Returns embeddings of length one, float32, shape (B, D).
        """
        mask_B1F = frame_mask(num_frames_B, features_BFM.shape[1])[:, None].to(features_BFM.dtype)
        hidden_BCT = self.tdnn(self.head(features_BFM.transpose(1, 2)[:, None], mask_B1F[:, None]))
        hidden_BCT = functional.relu(self.tdnn_norm(hidden_BCT))
        num_steps_B = torch.div(num_frames_B - 1, 2, rounding_mode="floor") + 1
        mask_B1T = frame_mask(num_steps_B, hidden_BCT.shape[2])[:, None].to(hidden_BCT.dtype)
        for stage, transition in zip(self.stages, self.transitions, strict=True):
            for layer in stage:  # type: ignore[attr-defined]
                hidden_BCT = torch.cat([hidden_BCT, layer(hidden_BCT, mask_B1T)], dim=1)
            hidden_BCT = transition(hidden_BCT)
        pooled_BC1 = _statistics(functional.relu(self.output_norm(hidden_BCT)), mask_B1T)
        embedding_BD = self.projection_norm(self.projection(pooled_BC1))[:, :, 0]
        return functional.normalize(embedding_BD.float(), dim=-1)


class Head(nn.Module):
    """Two-dimensional convolutions that halve the frequency axis three times and leave time alone."""

    def __init__(self, config: CampplusConfig) -> None:
        super().__init__()
        size = config.head_channels
        self.stem = nn.Conv2d(1, size, 3, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(size)
        self.blocks = nn.ModuleList(
            ResidualBlock(size, 1 if index else 2) for count in config.head_blocks for index in range(count)
        )
        self.last = nn.Conv2d(size, size, 3, stride=(2, 1), padding=1, bias=False)
        self.last_norm = nn.BatchNorm2d(size)

    def forward(self, features_B1MF: Tensor, mask_B11F: Tensor) -> Tensor:
        """Map (B, 1, M, F) to (B, C * M / 8, F), zero in padded frames."""
        hidden_BCMF = functional.relu(self.stem_norm(self.stem(features_B1MF * mask_B11F))) * mask_B11F
        for block in self.blocks:
            hidden_BCMF = block(hidden_BCMF, mask_B11F)
        hidden_BCMF = functional.relu(self.last_norm(self.last(hidden_BCMF))) * mask_B11F
        return hidden_BCMF.flatten(1, 2)


class ResidualBlock(nn.Module):
    """Two convolutions and a way around them."""

    def __init__(self, size: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(size, size, 3, stride=(stride, 1), padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(size)
        self.second = nn.Conv2d(size, size, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(size)
        self.around = nn.Identity() if stride == 1 else nn.Conv2d(size, size, 1, stride=(stride, 1), bias=False)
        self.around_norm = nn.Identity() if stride == 1 else nn.BatchNorm2d(size)

    def forward(self, hidden_BCMF: Tensor, mask_B11F: Tensor) -> Tensor:
        """Map (B, C, M, F) to the same, or to half the bands."""
        inner_BCMF = functional.relu(self.first_norm(self.first(hidden_BCMF))) * mask_B11F
        inner_BCMF = self.second_norm(self.second(inner_BCMF))
        return functional.relu(inner_BCMF + self.around_norm(self.around(hidden_BCMF))) * mask_B11F


class DenseLayer(nn.Module):
    """A time delay layer whose output is masked by the context: of the whole utterance and of each segment."""

    def __init__(self, size: int, dilation: int, config: CampplusConfig) -> None:
        super().__init__()
        self.context_frames = config.context_frames
        self.input_norm = nn.BatchNorm1d(size)
        self.reduce = nn.Conv1d(size, config.bottleneck, 1, bias=False)
        self.inner_norm = nn.BatchNorm1d(config.bottleneck)
        padding = (config.kernel - 1) // 2 * dilation
        self.local = nn.Conv1d(
            config.bottleneck, config.growth, config.kernel, padding=padding, dilation=dilation, bias=False
        )
        self.context_in = nn.Conv1d(config.bottleneck, config.bottleneck // config.context_reduction, 1)
        self.context_out = nn.Conv1d(config.bottleneck // config.context_reduction, config.growth, 1)

    def forward(self, hidden_BCT: Tensor, mask_B1T: Tensor) -> Tensor:
        """Compute the channels that this layer adds: (B, C, T) -> (B, growth, T)."""
        inner_BCT = self.reduce(functional.relu(self.input_norm(hidden_BCT)))
        inner_BCT = functional.relu(self.inner_norm(inner_BCT)) * mask_B1T
        context_BCN = _segment_means(inner_BCT, mask_B1T, self.context_frames)
        context_BCN = context_BCN + _mean(inner_BCT, mask_B1T)
        weights_BCN = torch.sigmoid(self.context_out(functional.relu(self.context_in(context_BCN))))
        weights_BCT = weights_BCN.repeat_interleave(self.context_frames, dim=2)[:, :, : hidden_BCT.shape[2]]
        added_BCT: Tensor = self.local(inner_BCT) * weights_BCT
        return added_BCT


class Transition(nn.Module):
    """Halves the channels between two stages."""

    def __init__(self, size_in: int, size_out: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(size_in)
        self.linear = nn.Conv1d(size_in, size_out, 1, bias=False)

    def forward(self, hidden_BCT: Tensor) -> Tensor:
        """Map (B, 2 C, T) to (B, C, T)."""
        mapped_BCT: Tensor = self.linear(functional.relu(self.norm(hidden_BCT)))
        return mapped_BCT


def _mean(masked_BCT: Tensor, mask_B1T: Tensor) -> Tensor:
    """Mean over true steps of what is zero elsewhere: (B, C, 1)."""
    return masked_BCT.sum(dim=2, keepdim=True) / mask_B1T.sum(dim=2, keepdim=True)


def _segment_means(masked_BCT: Tensor, mask_B1T: Tensor, num_steps: int) -> Tensor:
    """Mean over the true steps of each segment of `num_steps`, the last one shorter: (B, C, N)."""
    counts_B1N = _segment_sums(mask_B1T, num_steps)
    return _segment_sums(masked_BCT, num_steps) / counts_B1N.clamp(min=1.0)


def _segment_sums(hidden_BCT: Tensor, num_steps: int) -> Tensor:
    padded_BCT = functional.pad(hidden_BCT, (0, -hidden_BCT.shape[2] % num_steps))
    return padded_BCT.reshape(*padded_BCT.shape[:2], -1, num_steps).sum(dim=3)


def _statistics(hidden_BCT: Tensor, mask_B1T: Tensor) -> Tensor:
    """Mean and sample standard deviation over true steps: (B, 2 C, 1)."""
    mean_BC1 = _mean(hidden_BCT * mask_B1T, mask_B1T)
    spread_BCT = (hidden_BCT - mean_BC1) * mask_B1T
    num_others_B11 = (mask_B1T.sum(dim=2, keepdim=True) - 1).clamp(min=1.0)
    deviation_BC1 = torch.sqrt(spread_BCT.square().sum(dim=2, keepdim=True) / num_others_B11)
    return torch.cat([mean_BC1, deviation_BC1], dim=1)
