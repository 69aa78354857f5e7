"""MMER v1: the fusion of `mmer` with mean pooling and without contrastive heads.

Shape letters: B utterances, N padded text tokens, T padded frames, H hidden size, J = 2H.
"""

from __future__ import annotations

import torch

from mmer_ray.models import wav2vec2
from mmer_ray.models.interface import EmotionBatch, EmotionOutput
from mmer_ray.models.mmer.trunk import MASKED_FRAME, MmerTrunk, key_bias, mean_pool
from mmer_ray.models.mmer_v1.config import FAMILY, MmerV1Config


class MmerV1Model(MmerTrunk):
    """The first version's forward pass; of an utterance alone, masked or not, the published one."""

    family = FAMILY
    unread_parameters = MASKED_FRAME

    def __init__(self, config: MmerV1Config) -> None:
        super().__init__(config)
        self.config = config
        self.freeze_named_parts()

    def forward(self, batch: EmotionBatch) -> EmotionOutput:
        """Score a batch."""
        text_BNH, text_mask_BN = self.dropout(self.read(batch)), batch.text_mask.bool()
        frames_BTH, num_frames_B = self.listen(batch)
        # One dropped-out copy feeds everything, as published; the final version drops the CTC head's input alone.
        frames_BTH = self.dropout(frames_BTH)
        text_bias_BN = key_bias(text_mask_BN)
        if not self.config.masked:
            # Published: the mask itself is added to the scores (1 for a token, 0 for padding), frames have none,
            # and padding is pooled and transcribed like speech.
            text_bias_BN = text_mask_BN.float()
            text_mask_BN = torch.ones_like(text_mask_BN)
            num_frames_B = torch.full_like(num_frames_B, frames_BTH.shape[1])
        frame_mask_BT = wav2vec2.frame_mask(num_frames_B, frames_BTH.shape[1])
        fused_BNJ = self.fuse(text_BNH, text_bias_BN, frames_BTH, key_bias(frame_mask_BT))
        pooled_fused_BH = self.fused_to_hidden(mean_pool(fused_BNJ, text_mask_BN))
        joint_BJ = torch.cat([mean_pool(frames_BTH, frame_mask_BT), pooled_fused_BH], dim=1)
        return EmotionOutput(
            logits=self.classifier(joint_BJ),
            joint=joint_BJ,
            ctc_logits=self.ctc_head(frames_BTH),
            num_frames=num_frames_B,
        )


Model = MmerV1Model
"""The name under which `families` finds every family's class."""
