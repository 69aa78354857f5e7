"""What both versions of MMER share: speech and text encoders joined by four attention blocks and a gate.

Shape letters: B utterances, S padded samples, N padded text tokens, T padded frames, Q queries, P keys (N or T each),
A attention heads, D width of a head, H hidden size, K classes, V symbols of the CTC head, J = 2H.
"""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from mmer_ray.models import speech_backbones
from mmer_ray.models.encoders import build_audio_encoder, build_text_encoder
from mmer_ray.models.interface import EmotionBatch, EmotionModel

# Published constants: the bias of a masked key, the value of a masked position before the maximum.
MASKED_KEY_BIAS = -10_000.0
MASKED_POSITION = -9_999.9999
BLOCK_NORM_EPS = 1e-12
MASKED_FRAME = frozenset({"audio.masked_spec_embed"})
"""What SpecAugment, switched off as published, would put in place of frames."""


class TrunkConfig(Protocol):
    """What the trunk reads of a version's configuration; the fields are explained in `config.py`."""

    @property
    def audio(self) -> Mapping[str, Any]: ...
    @property
    def text(self) -> Mapping[str, Any] | None: ...
    @property
    def num_heads(self) -> int: ...
    @property
    def intermediate_size(self) -> int: ...
    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def ctc_symbols(self) -> tuple[str, ...]: ...
    @property
    def dropout(self) -> float: ...
    @property
    def normalise(self) -> bool: ...
    @property
    def masked(self) -> bool: ...
    @property
    def freeze_convolutions(self) -> bool: ...
    @property
    def hidden_size(self) -> int: ...


class CrossBlock(nn.Module):
    """One BERT layer whose queries and keys may come from different sequences."""

    def __init__(self, hidden_size: int, num_heads: int, intermediate_size: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(hidden_size, hidden_size)
        self.key = nn.Linear(hidden_size, hidden_size)
        self.value = nn.Linear(hidden_size, hidden_size)
        self.attention_out = nn.Linear(hidden_size, hidden_size)
        self.attention_norm = nn.LayerNorm(hidden_size, eps=BLOCK_NORM_EPS)
        self.expand = nn.Linear(hidden_size, intermediate_size)
        self.contract = nn.Linear(intermediate_size, hidden_size)
        self.out_norm = nn.LayerNorm(hidden_size, eps=BLOCK_NORM_EPS)
        self.activation = nn.GELU()
        self.dropout = nn.Dropout(dropout)

    def forward(self, query_BQH: Tensor, source_BPH: Tensor, key_bias_BP: Tensor) -> Tensor:
        """Let each query read the sources: float, shape (B, Q, H). The bias is added to every score of a key."""
        attended_BQH = self._attend(query_BQH, source_BPH, key_bias_BP)
        middle_BQH = self.attention_norm(self.dropout(self.attention_out(attended_BQH)) + query_BQH)
        inner_BQH = self.contract(self.activation(self.expand(middle_BQH)))
        out_BQH: Tensor = self.out_norm(self.dropout(inner_BQH) + middle_BQH)
        return out_BQH

    def _attend(self, query_BQH: Tensor, source_BPH: Tensor, key_bias_BP: Tensor) -> Tensor:
        q_BAQD = self._split(self.query(query_BQH))
        k_BAPD = self._split(self.key(source_BPH))
        v_BAPD = self._split(self.value(source_BPH))
        bias_B11P = key_bias_BP[:, None, None, :].to(q_BAQD.dtype)
        scores_BAQP = q_BAQD @ k_BAPD.transpose(2, 3) / math.sqrt(q_BAQD.shape[3]) + bias_B11P
        attended_BAQD: Tensor = self.dropout(scores_BAQP.softmax(dim=3)) @ v_BAPD
        return attended_BAQD.transpose(1, 2).flatten(2)

    def _split(self, hidden_BQH: Tensor) -> Tensor:
        num_batch, num_queries, _ = hidden_BQH.shape
        return hidden_BQH.view(num_batch, num_queries, self.num_heads, -1).transpose(1, 2)


class MmerTrunk(EmotionModel, ABC):
    """Encoders, fusion and heads; the versions differ in pooling, masks and what they train beside."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.labels = config.labels
        width = config.hidden_size
        self.audio = build_audio_encoder(config.audio)
        self.text = None if config.text is None else build_text_encoder(config.text)
        self.text_reads_itself = _block(config)
        self.audio_to_source = nn.Linear(width, width)
        self.audio_to_query = nn.Linear(width, width)
        self.text_asks_audio = _block(config)
        self.audio_asks_text = _block(config)
        self.text_asks_answer = _block(config)
        self.gate = nn.Linear(2 * width, width)
        self.fused_to_hidden = nn.Linear(2 * width, width)
        self.classifier = nn.Linear(2 * width, len(config.labels))
        self.ctc_head = nn.Linear(width, len(config.ctc_symbols))
        self.dropout = nn.Dropout(config.dropout)
        self._normalises, self._masked = config.normalise, config.masked
        for part in speech_backbones.convolutions(self.audio):
            part.requires_grad_(not config.freeze_convolutions)

    @property
    def min_samples(self) -> int:
        return speech_backbones.min_samples(self.audio)

    def read(self, batch: EmotionBatch) -> Tensor:
        """Return the text's features, float, shape (B, N, H)."""
        return batch.text_states(self.text, self.classifier.weight.dtype)

    def listen(self, batch: EmotionBatch) -> tuple[Tensor, Tensor]:
        """Return the backbone's frames, float, shape (B, T, H), and true frame counts, int64, shape (B,)."""
        return speech_backbones.encode(
            self.audio, batch.samples, batch.num_samples, normalise=self._normalises, masked=self._masked
        )

    def fuse(self, text_BNH: Tensor, text_bias_BN: Tensor, frames_BTH: Tensor, frame_bias_BT: Tensor) -> Tensor:
        """Join the two sequences along the text: float, shape (B, N, J)."""
        refined_BNH = self.text_reads_itself(text_BNH, text_BNH, text_bias_BN)
        heard_BNH = self.text_asks_audio(refined_BNH, self.audio_to_source(frames_BTH), frame_bias_BT)
        answer_BTH = self.audio_asks_text(self.audio_to_query(frames_BTH), refined_BNH, text_bias_BN)
        answered_BNH = self.text_asks_answer(refined_BNH, answer_BTH, frame_bias_BT)
        gate_BNH = torch.sigmoid(self.gate(torch.cat([answered_BNH, heard_BNH], dim=2)))
        return torch.cat([answered_BNH, gate_BNH * heard_BNH], dim=2)


def key_bias(mask_BP: Tensor) -> Tensor:
    """The bias that keeps masked keys from being read: float32, shape (B, P)."""
    return (~mask_BP).float() * MASKED_KEY_BIAS


def max_pool(hidden_BTH: Tensor, mask_BT: Tensor) -> Tensor:
    """Take the maximum over the unmasked positions: float, shape (B, H)."""
    return hidden_BTH.masked_fill(~mask_BT[:, :, None], MASKED_POSITION).amax(dim=1)


def mean_pool(hidden_BTH: Tensor, mask_BT: Tensor) -> Tensor:
    """Take the mean over the unmasked positions: float, shape (B, H)."""
    weights_BT1 = mask_BT[:, :, None].to(hidden_BTH.dtype)
    return (hidden_BTH * weights_BT1).sum(dim=1) / weights_BT1.sum(dim=1).clamp(min=1)


def _block(config: TrunkConfig) -> CrossBlock:
    return CrossBlock(config.hidden_size, config.num_heads, config.intermediate_size, config.dropout)
