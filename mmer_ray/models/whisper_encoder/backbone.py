"""Whisper's encoder as the speech backbone of an emotion family: the frames of one layer.

Shape letters: B utterances, S padded samples, T padded frames of 20 ms, H hidden size.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from mmer_ray.errors import UsageError
from mmer_ray.models.whisper_encoder.config import WhisperEncoderConfig
from mmer_ray.models.whisper_encoder.features import MIN_SAMPLES, num_features
from mmer_ray.models.whisper_encoder.model import WhisperEncoder, num_frames_of


class WhisperBackbone(WhisperEncoder):
    """Takes samples as they are: Whisper scales its log-mel features itself."""

    min_samples = MIN_SAMPLES

    def __init__(self, config: WhisperEncoderConfig, output_layer: int | None = None) -> None:
        """`output_layer`: whose frames come out, counted from 1; None: the last. Raises `UsageError` for none of its
        layers."""
        super().__init__(config)
        self.output_layer = config.num_layers if output_layer is None else output_layer
        if not 1 <= self.output_layer <= config.num_layers:
            raise UsageError(f"output_layer is {output_layer}; the encoder's layers are 1..{config.num_layers}")
        if self._is_cut:
            # Kept, so that the tensors are those of the whole encoder, and never run.
            for part in (*self.layers[self.output_layer :], self.norm):
                part.requires_grad_(False)

    def listen(self, samples_BS: Tensor, num_samples_B: Tensor) -> tuple[Tensor, Tensor]:
        """Turn zero-padded speech at 16 kHz, float, shape (B, S), and true lengths, int64, shape (B,), into frames.

        Returns frames, float, shape (B, T, H), and true frame counts, int64, shape (B,). A middle layer's frames are
        normalised each by itself, as the last layer's are by the final norm: their values reach 20 and more.
        """
        states_BLTH, num_frames_B = self(samples_BS, num_samples_B, self.output_layer)
        frames_BTH: Tensor = states_BLTH[:, -1]
        if self._is_cut:
            frames_BTH = functional.layer_norm(frames_BTH, frames_BTH.shape[2:])
        return frames_BTH, num_frames_B

    def num_frames(self, num_samples_B: Tensor) -> Tensor:
        """Count the frames of speech of so many samples: int64, shape (B,), in and out; one every 20 ms."""
        return num_frames_of(num_features(num_samples_B, 2 * self.config.max_frames))

    @property
    def _is_cut(self) -> bool:
        return self.output_layer < self.config.num_layers
