"""Frames of wav2vec 2.0, HuBERT and WavLM that do not depend on padding.

The stock backbones come in two layouts. The base models normalise their first convolution over the whole padded time
axis (`feat_extract_norm="group"`), so an utterance's frames change with its neighbours' lengths; here the statistics
run over the true frames alone. The large models normalise each frame by itself (`"layer"`). In both, padded frames are
masked behind the convolutions: an utterance gives the same frames alone and in any batch.

Shape letters: B batch, S padded samples, C channels, T padded frames, H hidden size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from mmer_ray.errors import UsageError
from mmer_ray.records import SAMPLE_RATE_HZ

Model = TypeVar("Model", bound=nn.Module)

# Both are the published constants: the variance floor of the input and of the first convolution's norm.
INPUT_VARIANCE_FLOOR = 1e-7
GROUP_NORM_EPS = 1e-5


def normalise(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale one utterance to zero mean and unit (population) variance: float32, shape (num_samples,), both ways."""
    centred = samples.astype(np.float64) - samples.mean(dtype=np.float64)
    scaled: NDArray[np.float64] = centred / np.sqrt(np.mean(centred**2) + INPUT_VARIANCE_FLOOR)
    return scaled.astype(np.float32)


def pad_batch(utterances: Sequence[NDArray[np.float32]]) -> tuple[Tensor, Tensor]:
    """Stack utterances of shape (num_samples,) with zeros at their ends.

    Returns samples, float32, shape (B, S), and true lengths, int64, shape (B,).
    """
    num_samples_B = torch.tensor([len(samples) for samples in utterances], dtype=torch.int64)
    samples_BS = torch.zeros(len(utterances), int(num_samples_B.max()), dtype=torch.float32)
    for row, samples in zip(samples_BS, utterances, strict=True):
        row[: len(samples)] = torch.from_numpy(samples)
    return samples_BS, num_samples_B


def num_frames(num_samples_B: Tensor, config: Any, *, num_layers: int | None = None) -> Tensor:
    """Count frames after the first `num_layers` convolutions (all by default): int64, shape (B,), in and out."""
    layers = list(zip(config.conv_kernel, config.conv_stride, strict=True))[:num_layers]
    for kernel, stride in layers:
        num_samples_B = torch.div(num_samples_B - kernel, stride, rounding_mode="floor") + 1
    return num_samples_B.clamp(min=0)


def min_samples(config: Any, *, frames: int = 1) -> int:
    """Return the fewest samples that still give so many frames."""
    needed = frames
    for kernel, stride in reversed(list(zip(config.conv_kernel, config.conv_stride, strict=True))):
        needed = (needed - 1) * stride + kernel
    return needed


def frame_stride_s(config: Any) -> float:
    """Return the seconds between two neighbouring frames."""
    return float(np.prod(config.conv_stride)) / SAMPLE_RATE_HZ


def frame_mask(num_frames_B: Tensor, max_frames: int) -> Tensor:
    """Mark true frames: bool, shape (B, max_frames)."""
    return torch.arange(max_frames, device=num_frames_B.device)[None, :] < num_frames_B[:, None]


def masked_group_norm(hidden_BCT: Tensor, num_frames_B: Tensor, weight_C: Tensor, bias_C: Tensor) -> Tensor:
    """Normalise each channel over an utterance's true frames only; float, shape (B, C, T), in and out."""
    wide_BCT = hidden_BCT.to(torch.promote_types(hidden_BCT.dtype, torch.float32))
    mask_B1T = frame_mask(num_frames_B, hidden_BCT.shape[2])[:, None, :].to(wide_BCT.dtype)
    count_B11 = num_frames_B.clamp(min=1)[:, None, None]
    mean_BC1 = (wide_BCT * mask_B1T).sum(dim=2, keepdim=True) / count_B11
    centred_BCT = (wide_BCT - mean_BC1) * mask_B1T
    variance_BC1 = centred_BCT.square().sum(dim=2, keepdim=True) / count_B11
    scale_BC1 = weight_C[None, :, None] * torch.rsqrt(variance_BC1 + GROUP_NORM_EPS)
    return torch.addcmul(bias_C[None, :, None], centred_BCT, scale_BC1).to(hidden_BCT.dtype)


def normalise_batch(samples_BS: Tensor, num_samples_B: Tensor) -> Tensor:
    """Scale each row's true samples to zero mean and unit population variance: shape (B, S), padding stays zero."""
    mask_BS = frame_mask(num_samples_B, samples_BS.shape[1])
    count_B1 = num_samples_B.clamp(min=1)[:, None]
    # In float64, so that the sums do not depend on how much padding a row has.
    wide_BS = samples_BS.double() * mask_BS
    centred_BS = (wide_BS - wide_BS.sum(dim=1, keepdim=True) / count_B1) * mask_BS
    variance_B1 = centred_BS.square().sum(dim=1, keepdim=True) / count_B1
    return (centred_BS / torch.sqrt(variance_B1 + INPUT_VARIANCE_FLOOR)).to(samples_BS.dtype)


def encode(backbone: Any, samples_BS: Tensor, num_samples_B: Tensor, *, masked: bool = True) -> tuple[Tensor, Tensor]:
    """Turn normalised, zero-padded speech into frames.

    `backbone`: a `Wav2Vec2Model`, `HubertModel` or `WavLMModel` of either layout. Takes samples, float, shape (B, S),
    at 16 kHz and true lengths, int64, shape (B,); samples are cast to the backbone's precision. Returns frames, float,
    shape (B, T, H), and true frame counts, int64, shape (B,). `masked=False` is the published, unmasked behaviour
    (statistics over the padding, no attention mask), kept for parity alone. Speech shorter than `min_samples` has zero
    true frames; T is never zero. In training mode the backbone's own SpecAugment settings apply. Raises `UsageError`
    for a backbone whose frames cannot be kept apart from padding.
    """
    samples_BS = samples_BS.to(backbone.dtype)
    num_frames_B = num_frames(num_samples_B, backbone.config)
    if not masked:
        return backbone(samples_BS).last_hidden_state, num_frames_B
    _refuse_what_is_not_exact(backbone.config)
    missing = max(0, min_samples(backbone.config) - samples_BS.shape[1])
    samples_BS = functional.pad(samples_BS, (0, missing))
    hidden_BTC = _convolve(backbone, samples_BS, num_samples_B).transpose(1, 2)
    hidden_BTH = _project(backbone, hidden_BTC)
    # A row without a true frame keeps its first one: attention over nothing is NaN.
    mask_BT = frame_mask(num_frames_B.clamp(min=1), hidden_BTH.shape[1])
    hidden_BTH = backbone._mask_hidden_states(hidden_BTH, attention_mask=mask_BT.long())
    return backbone.encoder(hidden_BTH, attention_mask=mask_BT).last_hidden_state, num_frames_B


def fold_weight_norm(model: Model) -> Model:
    """Replace each weight-normalised convolution's weight by its value, for inference; returns the model itself.

    The stock backbones compute the positional convolution's weight anew at each call, 4.7 million values at the
    published size. Outputs stay equal bit for bit; the model can no longer be trained or saved, and no deep copy of it
    may be in use (torch's copies share the class that this changes).
    """
    for module in model.modules():
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight")
    return model


def _refuse_what_is_not_exact(config: Any) -> None:
    if getattr(config, "add_adapter", False):
        raise UsageError("a backbone with an adapter (add_adapter) is not supported: its strides mix frames")
    if getattr(config, "conv_pos_batch_norm", False):
        # Its offset turns the zeros of the padding into something that the positional convolution hears.
        raise UsageError("a backbone with conv_pos_batch_norm is not supported: padding reaches its frames")


def _convolve(backbone: Any, samples_BS: Tensor, num_samples_B: Tensor) -> Tensor:
    """Run the strided convolutions; float, shape (B, C, T).

    They use no padding of their own, so a true frame reads true samples alone; only the group norm, which the base
    models have behind their first convolution, looks at all frames.
    """
    first, *others = backbone.feature_extractor.conv_layers
    hidden_BCT: Tensor = samples_BS[:, None, :]
    if backbone.config.feat_extract_norm == "group":
        first_frames_B = num_frames(num_samples_B, backbone.config, num_layers=1)
        norm = first.layer_norm
        hidden_BCT = masked_group_norm(first.conv(hidden_BCT), first_frames_B, norm.weight, norm.bias)
        hidden_BCT = first.activation(hidden_BCT)
    else:
        hidden_BCT = first(hidden_BCT)
    for layer in others:
        hidden_BCT = layer(hidden_BCT)
    return hidden_BCT


def _project(backbone: Any, hidden_BTC: Tensor) -> Tensor:
    """Bring the convolutions' channels to the transformer's width: float, shape (B, T, H)."""
    projected = backbone.feature_projection(hidden_BTC)
    # HuBERT's projection returns the frames, those of wav2vec 2.0 and WavLM add what they were projected from.
    frames_BTH: Tensor = projected if isinstance(projected, Tensor) else projected[0]
    return frames_BTH
