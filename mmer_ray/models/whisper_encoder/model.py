"""Whisper's encoder: two convolutions and a pre-norm transformer (Radford et al. 2022, section 2.2 and figure 1).

Padding is masked at each convolution and in attention, so that an utterance's frames are the same alone and in any
batch. Short input is not padded to 30 s: the first layers give nearly the same frames either way, the last ones do not.

Shape letters: B utterances, S padded samples, F padded frames of 10 ms, M mel bands, T padded frames of 20 ms, H hidden
size, A attention heads, D size of a head.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmer_ray.models.wav2vec2 import frame_mask
from mmer_ray.models.whisper_encoder.config import WhisperEncoderConfig
from mmer_ray.models.whisper_encoder.features import whisper_log_mel

FEED_FORWARD_FACTOR = 4
LONGEST_PERIOD = 10_000


class WhisperEncoder(nn.Module):
    """Speech in, the frames behind every layer out. Fresh weights but for the fixed positions."""

    def __init__(self, config: WhisperEncoderConfig) -> None:
        super().__init__()
        self.config = config
        width = config.hidden_size
        self.conv1 = nn.Conv1d(config.num_mels, width, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(width, width, kernel_size=3, stride=2, padding=1)
        self.register_buffer("positions", sinusoids(config.max_frames, width))
        self.layers = nn.ModuleList(_Layer(width, config.num_heads) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(width)

    positions: Tensor
    """Float, shape (max_frames, H)."""

    def forward(
        self, samples_BS: Tensor, num_samples_B: Tensor, num_layers: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Encode speech.

        Takes samples at 16 kHz, float, shape (B, S), and true lengths, int64, shape (B,). Returns the frames behind the
        convolutions and behind each of the first `num_layers` layers (all by default), float, shape (B, 1 +
        num_layers, T, H), those behind the last of all with the final norm, and true frame counts, int64, shape (B,).
        """
        features_BFM, num_features_B = whisper_log_mel(
            samples_BS, num_samples_B, self.config.num_mels, 2 * self.config.max_frames
        )
        return self.encode_features(features_BFM.to(self.positions.dtype), num_features_B, num_layers)

    def encode_features(
        self, features_BFM: Tensor, num_features_B: Tensor, num_layers: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Encode log-mel features, zero where padded, and their true counts: as `forward`."""
        hidden_BHF = functional.gelu(self.conv1(features_BFM.transpose(1, 2)))
        hidden_BHF = hidden_BHF * frame_mask(num_features_B, hidden_BHF.shape[2])[:, None]
        hidden_BTH = functional.gelu(self.conv2(hidden_BHF)).transpose(1, 2)
        num_frames_B = num_frames_of(num_features_B)
        mask_BT = frame_mask(num_frames_B, hidden_BTH.shape[1])
        hidden_BTH = hidden_BTH + self.positions[: hidden_BTH.shape[1]]
        states = [hidden_BTH]
        for layer in self.layers[:num_layers]:
            states.append(layer(states[-1], mask_BT))
        if len(states) == 1 + len(self.layers):
            states[-1] = self.norm(states[-1])
        return torch.stack(states, dim=1), num_frames_B


class _Layer(nn.Module):
    """Attention and feed-forward, each with a norm before it and a residual around it."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, FEED_FORWARD_FACTOR * width)
        self.contract = nn.Linear(FEED_FORWARD_FACTOR * width, width)

    def forward(self, hidden_BTH: Tensor, mask_BT: Tensor) -> Tensor:
        hidden_BTH = hidden_BTH + self._attend(self.attention_norm(hidden_BTH), mask_BT)
        expanded = functional.gelu(self.expand(self.feed_forward_norm(hidden_BTH)))
        answer: Tensor = hidden_BTH + self.contract(expanded)
        return answer

    def _attend(self, hidden_BTH: Tensor, mask_BT: Tensor) -> Tensor:
        heads = self.query_key_value(hidden_BTH).unflatten(2, (3, self.num_heads, -1))
        query_BATD, key_BATD, value_BATD = heads.permute(2, 0, 3, 1, 4)
        attended_BATD = functional.scaled_dot_product_attention(
            query_BATD, key_BATD, value_BATD, attn_mask=mask_BT[:, None, None, :]
        )
        attended: Tensor = self.output(attended_BATD.transpose(1, 2).flatten(2))
        return attended


def num_frames_of(num_features_B: Tensor) -> Tensor:
    """Count the frames behind the second convolution, whose stride is two: int64, shape (B,), in and out."""
    return (num_features_B + 1) // 2


def sinusoids(num_frames: int, width: int) -> Tensor:
    """Positions as sines, then cosines (Vaswani et al. 2017, section 3.5): float32, shape (num_frames, width)."""
    half = width // 2
    rates = torch.exp(-math.log(LONGEST_PERIOD) / max(1, half - 1) * torch.arange(half))
    angles = torch.arange(num_frames)[:, None] * rates[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1)
