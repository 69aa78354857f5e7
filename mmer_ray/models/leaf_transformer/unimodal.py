"""What one utterance tells on its own: LEAF and a CNN over its sound, BERT and a GRU over its words.

Shape letters: B utterances, S padded samples, C channels, M rows of the frequency axis, F padded frames, E width of an
utterance's embedding, K classes, N padded text tokens, H width of the text features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence

from mmer_ray.models.encoders import build_text_encoder
from mmer_ray.models.interface import EmotionBatch
from mmer_ray.models.leaf_transformer.config import LeafTransformerConfig
from mmer_ray.models.leaf_transformer.leaf import Leaf
from mmer_ray.models.wav2vec2 import frame_mask

CONV_KERNEL = 3
POOL = 2
NUM_GRU_LAYERS = 2


class FrameCnn(nn.Module):
    """Six valid convolutions, each with a norm and ReLU, and an average pool behind every second one.

    The 40 rows of the front-end shrink to one: 40-38-36-18-16-14-7-5-3-1.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, CONV_KERNEL) for before, after in zip((1, *channels), channels, strict=False)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in channels)

    def forward(self, features_BMF: Tensor, num_frames_B: Tensor) -> Tensor:
        """Embed utterances of at least `min_frames` true frames: float, shape (B, E).

        A true output of a valid convolution or a pool has read true frames alone, so frames are counted and nothing
        is masked before the mean. (The norms' statistics in training do see padded frames, as published.)
        """
        hidden_BCMF = features_BMF[:, None].to(self.dtype)
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            hidden_BCMF = functional.relu(norm(conv(hidden_BCMF)))
            num_frames_B = num_frames_B - (CONV_KERNEL - 1)
            if i % 2 == 1:
                hidden_BCMF = functional.avg_pool2d(hidden_BCMF, POOL)
                num_frames_B = torch.div(num_frames_B, POOL, rounding_mode="floor")
        return _masked_mean(hidden_BCMF.squeeze(2), num_frames_B)

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights, and so of the convolutions' input."""
        return next(self.parameters()).dtype

    @property
    def min_frames(self) -> int:
        """The fewest frames that leave one behind the last pool: 36."""
        needed = 1
        for i in reversed(range(len(self.convs))):
            needed = needed * (POOL if i % 2 == 1 else 1) + CONV_KERNEL - 1
        return needed


class AudioBranch(nn.Module):
    """LEAF and the CNN, with the classifier of the first training stage."""

    def __init__(self, config: LeafTransformerConfig) -> None:
        super().__init__()
        self.leaf = Leaf(config.stride, config.energy_step)
        self.cnn = FrameCnn(config.channels)
        self.classifier = nn.Linear(config.channels[-1], len(config.labels))

    def forward(self, samples_BS: Tensor, num_samples_B: Tensor) -> tuple[Tensor, Tensor]:
        """Embed and classify: float, shapes (B, E) and (B, K).

        An utterance that is too short for the CNN (0.36 s at a stride of 10 ms, 1.05 s at 30 ms) is read as if silence
        followed up to that length. Longer ones are neither cut nor padded (the published code does both, at 34 s).
        """
        shortest = (self.cnn.min_frames - 1) * self.leaf.stride + 1
        mask_BS = frame_mask(num_samples_B, samples_BS.shape[1])
        features_BMF, num_frames_B = self.leaf(samples_BS * mask_BS, num_samples_B.clamp(min=shortest))
        embedding_BE = self.cnn(features_BMF, num_frames_B)
        return embedding_BE, self.classifier(embedding_BE)


class TextBranch(nn.Module):
    """The last layers of BERT and a GRU over them, with the classifier of the second training stage."""

    def __init__(self, config: LeafTransformerConfig) -> None:
        super().__init__()
        self.num_layers = config.num_text_layers
        self.bert = None
        if config.text is not None:
            self.bert = build_text_encoder({**config.text, "hidden_size": config.text_layer_size})
        self.gru = nn.GRU(
            config.text_feature_size,
            config.text_hidden_size,
            num_layers=NUM_GRU_LAYERS,
            dropout=config.dropout,
            bidirectional=True,
            batch_first=True,
        )
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(2 * config.text_hidden_size, len(config.labels))

    def features(self, batch: EmotionBatch) -> Tensor:
        """Return what the GRU reads: the batch's own text features, or those of its tokens: float, shape (B, N, H).

        H is the number of layers times their width, the last layer first: features computed beforehand look alike.
        Raises `UsageError` where tokens meet a model without a text encoder.
        """
        return batch.text_states(self.bert, self.classifier.weight.dtype, num_layers=self.num_layers)

    def forward(self, batch: EmotionBatch) -> tuple[Tensor, Tensor]:
        """Embed and classify the texts: float, shapes (B, E) and (B, K)."""
        # Packing wants the lengths on the CPU.
        num_tokens_B = batch.text_mask.sum(dim=1).cpu()
        packed = pack_padded_sequence(self.features(batch), num_tokens_B, batch_first=True, enforce_sorted=False)
        _, states = self.gru(packed)
        embedding_BE = self.dropout(torch.cat([states[-2], states[-1]], dim=1))
        return embedding_BE, self.classifier(embedding_BE)


def _masked_mean(hidden_BEF: Tensor, num_frames_B: Tensor) -> Tensor:
    mask_B1F = frame_mask(num_frames_B, hidden_BEF.shape[2])[:, None]
    return hidden_BEF.masked_fill(~mask_B1F, 0).sum(dim=2) / num_frames_B[:, None]
