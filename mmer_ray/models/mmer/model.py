"""MMER (Interspeech 2023): wav2vec2 and RoBERTa joined by four attention blocks.

Shape letters: B utterances, N padded text tokens, T padded frames, H hidden size, J = 2H.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from mmer_ray.models import wav2vec2
from mmer_ray.models.interface import EmotionBatch, EmotionOutput
from mmer_ray.models.mmer.config import FAMILY, MmerConfig
from mmer_ray.models.mmer.trunk import MASKED_FRAME, MmerTrunk, key_bias, max_pool

NUM_LAYER_WEIGHTS = 13


class MmerModel(MmerTrunk):
    """Published forward pass, with a text encoder inside and frames that do not depend on padding."""

    family = FAMILY
    unread_parameters = MASKED_FRAME | {"layer_weights"}

    def __init__(self, config: MmerConfig) -> None:
        super().__init__(config)
        self.config = config
        self.freeze_named_parts()
        self.contrast_clean = _contrast_head(config.hidden_size)
        self.contrast_augmented = _contrast_head(config.hidden_size)
        # In every published checkpoint and read by nothing, there or here: kept so that parameters count alike.
        self.layer_weights = nn.Parameter(torch.zeros(NUM_LAYER_WEIGHTS))

    def forward(self, batch: EmotionBatch, *, view: Literal["clean", "augmented"] = "clean") -> EmotionOutput:
        """Score a batch. The view only chooses the head of the contrastive losses."""
        text_BNH, text_mask_BN = self.dropout(self.read(batch)), batch.text_mask.bool()
        frames_BTH, num_frames_B = self.listen(batch)
        frame_mask_BT = wav2vec2.frame_mask(num_frames_B, frames_BTH.shape[1])
        fused_BNJ = self.fuse(text_BNH, key_bias(text_mask_BN), frames_BTH, key_bias(frame_mask_BT))
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

    def score_variation(self, batch: EmotionBatch) -> EmotionOutput:
        """Score the augmented view, whose vectors the contrastive loss takes from a head of their own."""
        output: EmotionOutput = self(batch, view="augmented")
        return output


Model = MmerModel
"""The name under which `families` finds every family's class."""


def _contrast_head(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(2 * width, width), nn.GELU(), nn.Linear(width, width))
