"""SpecAugment: hide stretches of time and groups of frequency bands while training (Park et al. 2019, section 2).

Shape letters: B utterances, F padded frames, M mel bands, L positions along the masked axis.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mmer_ray.models.late_fusion.config import LateFusionConfig
from mmer_ray.models.speaker.features import masked_mean
from mmer_ray.models.wav2vec2 import frame_mask


def spec_augment(
    features_BFM: Tensor, num_frames_B: Tensor, config: LateFusionConfig, generator: torch.Generator | None = None
) -> Tensor:
    """Replace random stretches and bands of each utterance by its mean.

    Takes features, float, shape (B, F, M), and true frame counts, int64, shape (B,); returns features of the same
    shape. Widths are uniform from 0 to the configuration's bounds, places uniform within the true frames. Without a
    generator, which lives on the CPU, torch's own is drawn from.
    """
    num_batch, num_frames, num_mels = features_BFM.shape
    true_B, bands_B = num_frames_B.cpu(), torch.full((num_batch,), num_mels)
    widest_B = torch.floor(true_B * config.max_mask_share).long().clamp(max=config.max_mask_frames)
    widest_bands_B = torch.full((num_batch,), int(num_mels * config.max_mask_band_share))
    hidden_BFM = torch.zeros(features_BFM.shape, dtype=torch.bool)
    for _ in range(config.num_time_masks):
        hidden_BFM |= _stretch(true_B, widest_B, num_frames, generator)[:, :, None]
    for _ in range(config.num_band_masks):
        hidden_BFM |= _stretch(bands_B, widest_bands_B, num_mels, generator)[:, None, :]
    mean_B11 = masked_mean(features_BFM, frame_mask(num_frames_B, num_frames)[:, :, None], (1, 2))
    return torch.where(hidden_BFM.to(features_BFM.device), mean_B11, features_BFM)


def _stretch(length_B: Tensor, widest_B: Tensor, num_positions: int, generator: torch.Generator | None) -> Tensor:
    """Mark one random stretch within each length: bool, shape (B, L)."""
    width_B = _below(widest_B + 1, generator)
    start_B = _below(length_B - width_B + 1, generator)
    return frame_mask(start_B + width_B, num_positions) & ~frame_mask(start_B, num_positions)


def _below(bound_B: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw whole numbers from 0 to below each bound: int64, shape (B,)."""
    # In float64 the product with a bound below 2**53 cannot round up to the bound.
    return (torch.rand(bound_B.shape, dtype=torch.float64, generator=generator) * bound_B).long()
