"""The sizes of the character transcriber."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mmer_ray.models.ctc.vocabulary import SYMBOLS
from mmer_ray.models.library import Wav2Vec2Config


@dataclass(frozen=True)
class CtcConfig:
    """Everything that fixes the shape of a `CtcModel`."""

    conv_channels: tuple[int, ...] = (64, 128, 192, 192, 192)
    """Channels of each strided convolution; the first is followed by the masked group norm."""
    conv_kernels: tuple[int, ...] = (16, 10, 4, 4, 4)
    conv_strides: tuple[int, ...] = (8, 5, 2, 2, 2)
    """Their product is the samples per frame: 320, that is 20 ms."""
    hidden_size: int = 192
    num_layers: int = 4
    num_heads: int = 4
    feed_forward_size: int = 768
    position_kernel: int = 32
    """Frames that the positional convolution sees."""
    position_groups: int = 8
    dropout: float = 0.05
    mask_time_probability: float = 0.03
    """Share of frames where SpecAugment spans start in training."""
    mask_time_frames: int = 6
    num_symbols: int = len(SYMBOLS)


_EMBEDDED = CtcConfig()
SIZES: dict[str, CtcConfig] = {
    "test": replace(_EMBEDDED, conv_channels=(16, 16, 16, 32, 32), hidden_size=32, num_layers=1, feed_forward_size=64),
    "tiny": _EMBEDDED,
}
"""`tiny` is the embedded model, `test` a random one for quick tests."""


def backbone_config(config: CtcConfig) -> Wav2Vec2Config:
    """Translate into the configuration of transformers' backbone."""
    return Wav2Vec2Config(
        conv_dim=list(config.conv_channels),
        conv_kernel=list(config.conv_kernels),
        conv_stride=list(config.conv_strides),
        conv_bias=False,
        feat_extract_norm="group",
        do_stable_layer_norm=False,
        hidden_size=config.hidden_size,
        num_hidden_layers=config.num_layers,
        num_attention_heads=config.num_heads,
        intermediate_size=config.feed_forward_size,
        num_conv_pos_embeddings=config.position_kernel,
        num_conv_pos_embedding_groups=config.position_groups,
        hidden_dropout=config.dropout,
        attention_dropout=0.0,
        activation_dropout=0.0,
        feat_proj_dropout=config.dropout,
        layerdrop=0.0,
        mask_time_prob=config.mask_time_probability,
        mask_time_length=config.mask_time_frames,
        mask_time_min_masks=0,
        mask_feature_prob=0.0,
        vocab_size=config.num_symbols,
    )
