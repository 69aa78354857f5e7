"""The speech backbones under the emotion families, behind the same calls: wav2vec 2.0, HuBERT, WavLM, and Whisper.

Shape letters: B utterances, S padded samples, T padded frames, H hidden size.
"""

from __future__ import annotations

from torch import Tensor, nn

from mmer_ray.errors import UsageError
from mmer_ray.models import wav2vec2
from mmer_ray.models.encoders import SpeechBackbone
from mmer_ray.models.whisper_encoder.backbone import WhisperBackbone

CONVOLUTIONS = "feature_extractor"
EMBEDDINGS = (CONVOLUTIONS, "feature_projection", "encoder.pos_conv_embed")
"""What stands before the transformer's layers of a wav2vec 2.0, HuBERT or WavLM."""


def encode(
    backbone: SpeechBackbone, samples_BS: Tensor, num_samples_B: Tensor, *, normalise: bool = True, masked: bool = True
) -> tuple[Tensor, Tensor]:
    """Turn zero-padded speech at 16 kHz, float, shape (B, S), and true lengths, int64, shape (B,), into frames.

    Returns frames, float, shape (B, T, H), and true frame counts, int64, shape (B,): the same for an utterance alone
    and in any batch. `normalise` scales each utterance to zero mean and unit variance first; Whisper, which has a scale
    of its own, takes the samples as they are. `masked=False`: as in `wav2vec2.encode`; raises `UsageError` for Whisper.
    """
    if isinstance(backbone, WhisperBackbone):
        if not masked:
            raise UsageError('no published model has an unmasked Whisper: leave out "masked": false')
        return backbone.listen(samples_BS, num_samples_B)
    if normalise:
        samples_BS = wav2vec2.normalise_batch(samples_BS, num_samples_B)
    return wav2vec2.encode(backbone, samples_BS, num_samples_B, masked=masked)


def min_samples(backbone: SpeechBackbone) -> int:
    """Return the fewest samples that give a frame."""
    return backbone.min_samples if isinstance(backbone, WhisperBackbone) else wav2vec2.min_samples(backbone.config)


def num_frames(backbone: SpeechBackbone, num_samples_B: Tensor) -> Tensor:
    """Count the frames of speech of so many samples: int64, shape (B,), in and out."""
    if isinstance(backbone, WhisperBackbone):
        return backbone.num_frames(num_samples_B)
    return wav2vec2.num_frames(num_samples_B, backbone.config)


def convolutions(backbone: SpeechBackbone) -> list[nn.Module]:
    """The convolutions that stand before all else."""
    if isinstance(backbone, WhisperBackbone):
        return [backbone.conv1, backbone.conv2]
    return [backbone.get_submodule(CONVOLUTIONS)]


def embeddings(backbone: SpeechBackbone) -> list[nn.Module]:
    """What stands before the transformer's layers; Whisper's positions are fixed."""
    if isinstance(backbone, WhisperBackbone):
        return convolutions(backbone)
    return [backbone.get_submodule(name) for name in EMBEDDINGS]
