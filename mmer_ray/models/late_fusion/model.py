"""Late fusion (Padi et al., Odyssey 2022): a speaker network and BERT, each with a classifier, joined at their scores.

The paper's speech branch is a ResNet of speaker recognition with statistics pooling whose layers it does not list;
ours is the public network closest to that description (wespeaker's ResNet34).

Shape letters: B utterances, S padded samples, N padded text tokens, F padded frames, M mel bands, D embedding size,
H hidden size of the text encoder, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmer_ray.audio.features import WINDOW_SAMPLES
from mmer_ray.models.encoders import build_text_encoder
from mmer_ray.models.interface import EmotionBatch, EmotionModel, EmotionOutput
from mmer_ray.models.late_fusion.config import FAMILY, LateFusionConfig
from mmer_ray.models.late_fusion.spec_augment import spec_augment
from mmer_ray.models.norms import EmbeddingNorm
from mmer_ray.models.speaker.config import SpeakerConfig
from mmer_ray.models.speaker.features import batch_log_mel
from mmer_ray.models.speaker.model import SpeakerModel


class LateFusionModel(EmotionModel):
    """Two classifiers that never meet but in their posteriors."""

    family = FAMILY
    speech_weight: Tensor
    """Float, shape (): the speech branch's share w of the fused log-posteriors, chosen on validation utterances."""
    generator: torch.Generator | None = None
    """Where SpecAugment draws from, on the CPU; None: torch's own."""

    def __init__(self, config: LateFusionConfig) -> None:
        super().__init__()
        self.config = config
        self.labels = config.labels
        self.reads_text = config.text is not None
        self.speech = SpeakerModel(config.speaker)
        self.speech_head = _speech_head(config.speaker, config.speech_dropout, len(config.labels))
        self.text: nn.Module | None = None
        if config.text is not None:
            self.text = build_text_encoder(config.text)
            width = int(config.text["hidden_size"])
            self.pooler = nn.Linear(width, width)
            self.text_head = nn.Sequential(nn.Dropout(config.text_dropout), nn.Linear(width, len(config.labels)))
        self.register_buffer("speech_weight", torch.tensor(1.0 if config.text is None else 0.5))

    @property
    def min_samples(self) -> int:
        return WINDOW_SAMPLES

    def forward(self, batch: EmotionBatch) -> EmotionOutput:
        """Score a batch: the logits are fused log-posteriors, whose softmax scales them to sum to one."""
        embedding_BD = self.listen(batch.samples, batch.num_samples)
        speech_BK = self.speech_head(embedding_BD)
        log_p_BK = functional.log_softmax(speech_BK.float(), dim=1)
        if self.text is None:
            return EmotionOutput(logits=log_p_BK, joint=embedding_BD, branches={"audio": speech_BK})
        pooled_BH = self.read(batch)
        text_BK = self.text_head(pooled_BH)
        weight = self.speech_weight.float()
        return EmotionOutput(
            logits=weight * log_p_BK + (1 - weight) * functional.log_softmax(text_BK.float(), dim=1),
            joint=torch.cat([embedding_BD, pooled_BH], dim=1),
            branches={"audio": speech_BK, "text": text_BK},
        )

    def listen(self, samples_BS: Tensor, num_samples_B: Tensor) -> Tensor:
        """Embed speakers: float, shape (B, D). In training mode parts of the spectrogram are hidden."""
        features_BFM, num_frames_B = batch_log_mel(samples_BS, num_samples_B, self.speech.config.num_mels)
        features_BFM = self.speech.centre(features_BFM, num_frames_B)
        if self.training:
            features_BFM = spec_augment(features_BFM, num_frames_B, self.config, self.generator)
        return self.speech.project(features_BFM.to(self.speech.projection.weight.dtype), num_frames_B)

    def read(self, batch: EmotionBatch) -> Tensor:
        """Sum up texts as BERT does, by what stands at their first token: float, shape (B, H)."""
        assert self.text is not None
        hidden_BNH = batch.text_states(self.text, self.pooler.weight.dtype)
        return torch.tanh(self.pooler(hidden_BNH[:, 0]))


Model = LateFusionModel
"""The name under which `families` finds every family's class."""


def _speech_head(speaker: SpeakerConfig, dropout: float, num_labels: int) -> nn.Sequential:
    size = speaker.embedding_size
    return nn.Sequential(EmbeddingNorm(size), nn.ReLU(), nn.Dropout(dropout), nn.Linear(size, num_labels))
