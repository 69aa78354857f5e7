"""Whisper's log-mel features of a padded batch, each utterance by itself.

Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022, section 2.2: windows of 25 ms, 10 ms
apart, 80 bands of the Slaney mel scale, log10 of power within 8 of the loudest, then (x + 4) / 4.

Shape letters: B utterances, S padded samples, F padded frames of 10 ms, M mel bands.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from mmer_ray.audio.features import HOP_SAMPLES, WINDOW_SAMPLES
from mmer_ray.models.library import mel_filter_bank
from mmer_ray.records import SAMPLE_RATE_HZ

MIN_SAMPLES = WINDOW_SAMPLES
"""Shorter speech is extended with zeros to this length."""
DYNAMIC_RANGE = 8.0
"""Decades of power below the loudest value of the utterance that count."""
POWER_FLOOR = 1e-10


def whisper_log_mel(samples_BS: Tensor, num_samples_B: Tensor, num_mels: int, max_frames: int) -> tuple[Tensor, Tensor]:
    """Describe each utterance as Whisper hears it, without padding to 30 s.

    Takes samples at 16 kHz, float, shape (B, S), and true lengths, int64, shape (B,). Returns features, float32, shape
    (B, F, M), zero in padded frames, and true frame counts, int64, shape (B,): one every 10 ms, at most `max_frames`;
    what lies beyond is not heard. An utterance's features are the same in every batch: each is computed alone.
    """
    filters_QM = _filters(num_mels, samples_BS.device)
    longest = max_frames * HOP_SAMPLES
    rows = [
        _log_mel(samples_S[: min(num, longest)].float(), filters_QM)
        for samples_S, num in zip(samples_BS, num_samples_B.tolist(), strict=True)
    ]
    num_frames_B = torch.tensor([len(row) for row in rows], device=samples_BS.device)
    return pad_sequence(rows, batch_first=True), num_frames_B


def num_features(num_samples_B: Tensor, max_frames: int) -> Tensor:
    """Count the features of speech of so many samples: int64, shape (B,), in and out, as of `whisper_log_mel`."""
    return (num_samples_B.clamp(min=MIN_SAMPLES) // HOP_SAMPLES).clamp(max=max_frames)


def _log_mel(samples_S: Tensor, filters_QM: Tensor) -> Tensor:
    """Features of one utterance: float32, shape (num_samples // 160, M)."""
    samples_S = functional.pad(samples_S, (0, max(0, MIN_SAMPLES - len(samples_S))))
    window = torch.hann_window(WINDOW_SAMPLES, device=samples_S.device)
    spectrum_QF = torch.stft(samples_S, WINDOW_SAMPLES, HOP_SAMPLES, window=window, return_complex=True)
    # The last window is centred on the end: Whisper leaves it out.
    energies_FM = (spectrum_QF[:, :-1].abs().square().T @ filters_QM).clamp(min=POWER_FLOOR).log10()
    energies_FM = torch.maximum(energies_FM, energies_FM.max() - DYNAMIC_RANGE)
    return (energies_FM + 4) / 4


@cache
def _filters(num_mels: int, device: torch.device) -> Tensor:
    """Triangular filters: float32, shape (201, num_mels)."""
    filters = mel_filter_bank(
        num_frequency_bins=1 + WINDOW_SAMPLES // 2,
        num_mel_filters=num_mels,
        min_frequency=0.0,
        max_frequency=SAMPLE_RATE_HZ / 2,
        sampling_rate=SAMPLE_RATE_HZ,
        norm="slaney",
        mel_scale="slaney",
    )
    return torch.from_numpy(np.asarray(filters, np.float32)).to(device)
