"""Speaker segmentation: sinc filters, convolutions, a bidirectional LSTM, and one class per set of speakers.

Sinc filters: Ravanelli and Bengio, "Speaker recognition from raw waveform with SincNet" (SLT 2018), equations 4 to 6,
with odd filters beside the even ones: Pariente et al., "Filterbank design for end-to-end speech separation" (ICASSP
2020), section 3. The network: Bredin and Laurent, "End-to-end speaker segmentation for overlap-aware resegmentation"
(Interspeech 2021), section 2. Sets of speakers as classes: Plaquet and Bredin, "Powerset multi-class cross entropy
loss for neural speaker diarization" (Interspeech 2023).

Shape letters: B chunks, S samples, C channels, T time, F frames, K sets of speakers, L local speakers, W taps.
"""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mmer_ray.audio.features import hz_to_mel, mel_to_hz
from mmer_ray.models.segmentation.config import SegmentationConfig
from mmer_ray.records import SAMPLE_RATE_HZ

LOWEST_HZ = 50.0
NARROWEST_HZ = 50.0


class SegmentationModel(nn.Module):
    """Samples in, log probabilities of sets of speakers out."""

    def __init__(self, config: SegmentationConfig) -> None:
        super().__init__()
        self.config = config
        self.waveform_norm = nn.InstanceNorm1d(1, affine=True)
        self.filters = SincFilters(config.num_filters, config.filter_samples, config.filter_stride)
        channels = [config.num_filters] + [config.conv_channels] * config.num_convs
        self.norms = nn.ModuleList(nn.InstanceNorm1d(size, affine=True) for size in channels)
        self.convs = nn.ModuleList(nn.Conv1d(before, after, config.conv_kernel) for before, after in pairwise(channels))
        self.lstm = nn.LSTM(channels[-1], config.lstm_size, config.lstm_layers, bidirectional=True, batch_first=True)
        widths = [2 * config.lstm_size] + [config.hidden_size] * config.hidden_layers
        self.hidden = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(widths))
        self.classifier = nn.Linear(widths[-1], len(speaker_sets(config.num_speakers, config.max_simultaneous)))

    def forward(self, samples_BS: Tensor) -> Tensor:
        """Compute log probabilities of `speaker_sets`, float, shape (B, F, K).

        Takes 16 kHz samples, float32, shape (B, S), at least `config.receptive_samples` of them. Each chunk is
        normalised by itself: its answer depends on its length and not on the others.
        """
        hidden_BCT = self.filters(self.waveform_norm(samples_BS[:, None])).abs()
        hidden_BCT = self._pooled(hidden_BCT, 0)
        for index, conv in enumerate(self.convs):
            hidden_BCT = self._pooled(conv(hidden_BCT), index + 1)
        hidden_BFC, _ = self.lstm(hidden_BCT.transpose(1, 2))
        for layer in self.hidden:
            hidden_BFC = functional.leaky_relu(layer(hidden_BFC))
        return functional.log_softmax(self.classifier(hidden_BFC), dim=-1)

    def _pooled(self, hidden_BCT: Tensor, index: int) -> Tensor:
        pooled_BCT = functional.max_pool1d(hidden_BCT, self.config.pool, self.config.pool)
        return functional.leaky_relu(self.norms[index](pooled_BCT))


class SincFilters(nn.Module):
    """Band-pass filters that are known by their lower edge and width: an even and an odd one for each band."""

    def __init__(self, num_filters: int, num_taps: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        num_bands = num_filters // 2
        # Bands that are even in mel; a checkpoint brings its own.
        highest_mel = hz_to_mel(SAMPLE_RATE_HZ / 2 - LOWEST_HZ - NARROWEST_HZ)
        edges_hz = torch.from_numpy(mel_to_hz(np.linspace(hz_to_mel(30.0), highest_mel, num_bands + 1))).float()
        self.low_hz = nn.Parameter(edges_hz[:-1, None].clone())
        self.band_hz = nn.Parameter(edges_hz.diff()[:, None].clone())
        half = num_taps // 2
        self.register_buffer("window", _half_hamming(num_taps), persistent=False)
        times = 2 * math.pi * torch.arange(-half, 0.0)[None] / SAMPLE_RATE_HZ
        self.register_buffer("times", times, persistent=False)
        self.window: Tensor
        self.times: Tensor

    def forward(self, samples_B1S: Tensor) -> Tensor:
        """Filter: float, shape (B, 1, S) -> (B, C, T), even filters before odd ones."""
        return functional.conv1d(samples_B1S, self.taps(), stride=self.stride)

    def taps(self) -> Tensor:
        """Compute the filters: float, shape (C, 1, W)."""
        low = LOWEST_HZ + self.low_hz.abs()
        high = (low + NARROWEST_HZ + self.band_hz.abs()).clamp(LOWEST_HZ, SAMPLE_RATE_HZ / 2)
        band = high - low
        low_phase, high_phase = low @ self.times, high @ self.times
        scale = self.window / (self.times / 2)
        even = (high_phase.sin() - low_phase.sin()) * scale
        odd = (low_phase.cos() - high_phase.cos()) * scale
        even_taps = torch.cat([even, 2 * band, even.flip(1)], dim=1)
        odd_taps = torch.cat([odd, torch.zeros_like(band), -odd.flip(1)], dim=1)
        return (torch.cat([even_taps, odd_taps]) / (2 * band).repeat(2, 1))[:, None]


def speaker_sets(num_speakers: int, max_simultaneous: int) -> list[tuple[int, ...]]:
    """List the classes: nobody, each speaker alone, then each pair.

    >>> speaker_sets(3, 2)
    [(), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2)]
    """
    return [chosen for size in range(max_simultaneous + 1) for chosen in combinations(range(num_speakers), size)]


def speaker_probabilities(log_probabilities_BFK: Tensor, config: SegmentationConfig) -> Tensor:
    """Sum the sets that hold each speaker: probability that the speaker talks, float, shape (B, F, L)."""
    members_KL = torch.zeros(log_probabilities_BFK.shape[-1], config.num_speakers, device=log_probabilities_BFK.device)
    for row, chosen in zip(members_KL, speaker_sets(config.num_speakers, config.max_simultaneous), strict=True):
        row[list(chosen)] = 1.0
    return log_probabilities_BFK.exp() @ members_KL


def _half_hamming(num_taps: int) -> Tensor:
    return torch.hamming_window(num_taps, periodic=False, dtype=torch.float64)[: num_taps // 2].float()
