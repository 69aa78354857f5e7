"""The character transcriber: wav2vec2 frames and one linear layer.

Shape letters: B batch, S padded samples, T padded frames, H hidden size, V symbols.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmer_ray.models import wav2vec2
from mmer_ray.models.ctc.config import CtcConfig, backbone_config
from mmer_ray.models.ctc.vocabulary import collapse, to_text
from mmer_ray.models.library import Wav2Vec2Model


class CtcModel(nn.Module):
    """Speech in, symbol scores for every frame out."""

    def __init__(self, config: CtcConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Wav2Vec2Model(backbone_config(config))
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.hidden_size, config.num_symbols)

    def forward(self, samples_BS: Tensor, num_samples_B: Tensor) -> tuple[Tensor, Tensor]:
        """Score symbols.

        Takes normalised samples, float32, shape (B, S), 16 kHz, zero-padded, and true lengths, int64, shape (B,).
        Returns logits, float, shape (B, T, V), and true frame counts, int64, shape (B,).
        """
        frames_BTH, num_frames_B = wav2vec2.encode(self.backbone, samples_BS, num_samples_B)
        logits_BTV: Tensor = self.head(self.dropout(frames_BTH))
        return logits_BTV, num_frames_B


def greedy_texts(logits_BTV: Tensor, num_frames_B: Tensor) -> list[str]:
    """Read the best path of each utterance as lower-case words; takes what `CtcModel` returns."""
    paths_BT: list[list[int]] = torch.argmax(logits_BTV, dim=-1).tolist()
    counts: list[int] = num_frames_B.tolist()
    return [to_text(collapse(path[:count])) for path, count in zip(paths_BT, counts, strict=True)]
