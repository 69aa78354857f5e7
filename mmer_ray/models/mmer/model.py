"""MMER (Interspeech 2023): wav2vec2 and RoBERTa joined by four attention blocks.

Shape letters: B utterances, S padded samples, N padded text tokens, T padded frames, Q queries, P keys (N or T each),
A attention heads, D width of a head, H hidden size, K classes, V symbols of the CTC head, J = 2H.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from mmer_ray.models import wav2vec2
from mmer_ray.models.encoders import build_audio_encoder, build_text_encoder
from mmer_ray.models.interface import EmotionBatch, EmotionModel, EmotionOutput
from mmer_ray.models.mmer.config import FAMILY, MmerConfig

# Published constants: the bias of a masked key, the value of a masked position before the maximum.
MASKED_KEY_BIAS = -10_000.0
MASKED_POSITION = -9_999.9999
BLOCK_NORM_EPS = 1e-12
NUM_LAYER_WEIGHTS = 13


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

    def forward(self, query_BQH: Tensor, source_BPH: Tensor, key_mask_BP: Tensor) -> Tensor:
        """Let each query read the unmasked sources: float, shape (B, Q, H)."""
        attended_BQH = self._attend(query_BQH, source_BPH, key_mask_BP)
        middle_BQH = self.attention_norm(self.dropout(self.attention_out(attended_BQH)) + query_BQH)
        inner_BQH = self.contract(self.activation(self.expand(middle_BQH)))
        out_BQH: Tensor = self.out_norm(self.dropout(inner_BQH) + middle_BQH)
        return out_BQH

    def _attend(self, query_BQH: Tensor, source_BPH: Tensor, key_mask_BP: Tensor) -> Tensor:
        q_BAQD = self._split(self.query(query_BQH))
        k_BAPD = self._split(self.key(source_BPH))
        v_BAPD = self._split(self.value(source_BPH))
        bias_B11P = (~key_mask_BP)[:, None, None, :].to(q_BAQD.dtype) * MASKED_KEY_BIAS
        scores_BAQP = q_BAQD @ k_BAPD.transpose(2, 3) / math.sqrt(q_BAQD.shape[3]) + bias_B11P
        attended_BAQD: Tensor = self.dropout(scores_BAQP.softmax(dim=3)) @ v_BAPD
        return attended_BAQD.transpose(1, 2).flatten(2)

    def _split(self, hidden_BQH: Tensor) -> Tensor:
        num_batch, num_queries, _ = hidden_BQH.shape
        return hidden_BQH.view(num_batch, num_queries, self.num_heads, -1).transpose(1, 2)


class MmerModel(EmotionModel):
    """Published forward pass, with a text encoder inside and frames that do not depend on padding."""

    family = FAMILY

    def __init__(self, config: MmerConfig) -> None:
        super().__init__()
        self.config = config
        self.labels = config.labels
        width = config.hidden_size
        self.audio = build_audio_encoder(config.audio)
        self.text = None if config.text is None else build_text_encoder(config.text)
        self.text_reads_itself = self._block()
        self.audio_to_source = nn.Linear(width, width)
        self.audio_to_query = nn.Linear(width, width)
        self.text_asks_audio = self._block()
        self.audio_asks_text = self._block()
        self.text_asks_answer = self._block()
        self.gate = nn.Linear(2 * width, width)
        self.fused_to_hidden = nn.Linear(2 * width, width)
        self.classifier = nn.Linear(2 * width, len(config.labels))
        self.ctc_head = nn.Linear(width, len(config.ctc_symbols))
        self.contrast_clean = _contrast_head(width)
        self.contrast_augmented = _contrast_head(width)
        self.dropout = nn.Dropout(config.dropout)
        # In every published checkpoint and read by nothing, there or here: kept so that parameters count alike.
        self.layer_weights = nn.Parameter(torch.zeros(NUM_LAYER_WEIGHTS))
        self.audio.feature_extractor.requires_grad_(False)

    @property
    def min_samples(self) -> int:
        return wav2vec2.min_samples(self.audio.config)

    def forward(self, batch: EmotionBatch, *, view: Literal["clean", "augmented"] = "clean") -> EmotionOutput:
        """Score a batch. The view only chooses the head of the contrastive losses."""
        text_BNH, text_mask_BN = self.dropout(self._read(batch)), batch.text_mask.bool()
        frames_BTH, num_frames_B = self._listen(batch)
        frame_mask_BT = wav2vec2.frame_mask(num_frames_B, frames_BTH.shape[1])
        fused_BNJ = self._fuse(text_BNH, text_mask_BN, frames_BTH, frame_mask_BT)
        pooled_audio_BH = max_pool(frames_BTH, frame_mask_BT)
        pooled_fused_BH = self.fused_to_hidden(max_pool(fused_BNJ, text_mask_BN))
        joint_BJ = torch.cat([pooled_audio_BH, pooled_fused_BH], dim=1)
        head = self.contrast_clean if view == "clean" else self.contrast_augmented
        return EmotionOutput(
            logits=self.classifier(joint_BJ),
            joint=joint_BJ,
            contrast=head(joint_BJ),
            ctc_logits=self.ctc_head(self.dropout(frames_BTH)),
            num_frames=num_frames_B,
        )

    def _block(self) -> CrossBlock:
        config = self.config
        return CrossBlock(config.hidden_size, config.num_heads, config.intermediate_size, config.dropout)

    def _read(self, batch: EmotionBatch) -> Tensor:
        """Return the text's features, float, shape (B, N, H)."""
        if batch.text_features is not None:
            return batch.text_features
        if self.text is None:
            raise ValueError("this mmer has no text encoder (config.text is null): give text_features")
        hidden_BNH: Tensor = self.text(batch.token_ids, attention_mask=batch.text_mask.long()).last_hidden_state
        return hidden_BNH

    def _listen(self, batch: EmotionBatch) -> tuple[Tensor, Tensor]:
        """Return the backbone's frames, float, shape (B, T, H), and true frame counts, int64, shape (B,)."""
        samples_BS = batch.samples
        if self.config.normalise:
            samples_BS = wav2vec2.normalise_batch(samples_BS, batch.num_samples)
        return wav2vec2.encode(self.audio, samples_BS, batch.num_samples, masked=self.config.masked)

    def _fuse(self, text_BNH: Tensor, text_mask_BN: Tensor, frames_BTH: Tensor, frame_mask_BT: Tensor) -> Tensor:
        """Join the two sequences along the text: float, shape (B, N, J)."""
        refined_BNH = self.text_reads_itself(text_BNH, text_BNH, text_mask_BN)
        heard_BNH = self.text_asks_audio(refined_BNH, self.audio_to_source(frames_BTH), frame_mask_BT)
        answer_BTH = self.audio_asks_text(self.audio_to_query(frames_BTH), refined_BNH, text_mask_BN)
        answered_BNH = self.text_asks_answer(refined_BNH, answer_BTH, frame_mask_BT)
        gate_BNH = torch.sigmoid(self.gate(torch.cat([answered_BNH, heard_BNH], dim=2)))
        return torch.cat([answered_BNH, gate_BNH * heard_BNH], dim=2)


Model = MmerModel
"""The name under which `families` finds every family's class."""


def max_pool(hidden_BTH: Tensor, mask_BT: Tensor) -> Tensor:
    """Take the maximum over the unmasked positions: float, shape (B, H)."""
    return hidden_BTH.masked_fill(~mask_BT[:, :, None], MASKED_POSITION).amax(dim=1)


def _contrast_head(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(2 * width, width), nn.GELU(), nn.Linear(width, width))
