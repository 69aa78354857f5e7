"""Log-mel features of a padded batch: `audio.features.log_mel` as tensors, on any device.

Shape letters: B utterances, S padded samples, F padded frames, W samples of a window, M mel bands, Q FFT bins.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mmer_ray.audio.features import (
    DYNAMIC_RANGE,
    FFT_SIZE,
    HOP_SAMPLES,
    POWER_FLOOR,
    WINDOW_SAMPLES,
    mel_filters,
)
from mmer_ray.models.wav2vec2 import frame_mask


def batch_log_mel(samples_BS: Tensor, num_samples_B: Tensor, num_mels: int) -> tuple[Tensor, Tensor]:
    """Describe each utterance by its log-mel energies, centred on zero, whatever the padding holds.

    Takes samples at 16 kHz, float32, shape (B, S), and true lengths, int64, shape (B,). Returns features, float32,
    shape (B, F, M), zero in padded frames, and true frame counts, int64, shape (B,). Speech shorter than a window is
    extended with zeros to one frame.
    """
    samples_BS = samples_BS.float() * frame_mask(num_samples_B, samples_BS.shape[1])
    samples_BS = functional.pad(samples_BS, (0, max(0, WINDOW_SAMPLES - samples_BS.shape[1])))
    num_frames_B = 1 + torch.div(num_samples_B - WINDOW_SAMPLES, HOP_SAMPLES, rounding_mode="floor").clamp(min=0)
    energies_BFM = torch.log(_power(samples_BS) @ _filters(num_mels, samples_BS.device) + POWER_FLOOR)
    mask_BF1 = frame_mask(num_frames_B, energies_BFM.shape[1])[:, :, None]
    loudest_B11 = energies_BFM.masked_fill(~mask_BF1, -torch.inf).amax(dim=(1, 2), keepdim=True)
    energies_BFM = torch.maximum(energies_BFM, loudest_B11 - DYNAMIC_RANGE)
    return (energies_BFM - masked_mean(energies_BFM, mask_BF1, (1, 2))) * mask_BF1, num_frames_B


def masked_mean(features_BFM: Tensor, mask_BF1: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Mean over true frames, and over bands where `axes` names axis 2: the same shape with 1 in these axes."""
    per_frame = features_BFM.shape[2] if 2 in axes else 1
    # In float64, so that the sums do not depend on how much padding a row has.
    total = (features_BFM.double() * mask_BF1).sum(dim=axes, keepdim=True)
    return (total / (mask_BF1.sum(dim=1, keepdim=True) * per_frame)).to(features_BFM.dtype)


def _power(samples_BS: Tensor) -> Tensor:
    """Power spectra of all whole windows: float32, shape (B, F, Q)."""
    window_W = torch.hann_window(WINDOW_SAMPLES, periodic=False, device=samples_BS.device)
    spectrum = torch.fft.rfft(samples_BS.unfold(1, WINDOW_SAMPLES, HOP_SAMPLES) * window_W, FFT_SIZE)
    power_BFQ: Tensor = spectrum.real.square() + spectrum.imag.square()
    return power_BFQ


def _filters(num_mels: int, device: torch.device) -> Tensor:
    return torch.from_numpy(mel_filters(num_mels)).to(device, torch.float32)
