"""A frozen Whisper encoder, its layers mixed by learned weights, attentive statistics pooling and a small head.

Shape letters: B utterances, S padded samples, N padded text tokens, L layers, T padded frames, H hidden size of the
encoder, W of the text encoder, D size of an utterance's vector, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmer_ray.models.batches import LIKE_LENGTH, length_buckets
from mmer_ray.models.encoders import build_text_encoder
from mmer_ray.models.frozen_encoder.adaptation import centre_on_speakers
from mmer_ray.models.frozen_encoder.config import FAMILY, FrozenEncoderConfig
from mmer_ray.models.frozen_encoder.pooling import AttentiveStatistics, LayerMix
from mmer_ray.models.interface import AdaptingModel, EmotionBatch, EmotionOutput
from mmer_ray.models.norms import EmbeddingNorm
from mmer_ray.models.wav2vec2 import frame_mask
from mmer_ray.models.whisper_encoder.features import MIN_SAMPLES
from mmer_ray.models.whisper_encoder.model import WhisperEncoder
from mmer_ray.records import SAMPLE_RATE_HZ

MAX_PADDED_S = 60.0
"""A dialogue comes as one batch: its utterances go through the encoder so many padded seconds at a time."""
PRIOR_MOMENTUM = 0.05
"""Of the running mean over everybody, per training step."""


class FrozenEncoderModel(AdaptingModel):
    """The encoder is never trained; with `adapts_to_speaker`, answers depend on the speaker's other utterances."""

    family = FAMILY
    speech_encoder_part = "encoder"
    everybody: Tensor
    """Float, shape (D,): mean of the utterances' vectors over the training set."""

    def __init__(self, config: FrozenEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.labels = config.labels
        self.min_confidence = config.min_confidence
        self.adapts_to_speaker = config.adapts_to_speaker
        self.reads_text = config.text is not None
        self.encoder = WhisperEncoder(config.whisper).requires_grad_(False)
        self.mix = LayerMix(len(config.layers), config.whisper.hidden_size)
        self.pooling = AttentiveStatistics(
            config.whisper.hidden_size, config.attention_size, with_deviation=config.pools_deviation
        )
        self.register_buffer("everybody", torch.zeros(config.vector_size))
        self.text = None if config.text is None else build_text_encoder(config.text)
        text_size = 0 if config.text is None else int(config.text["hidden_size"])
        self.head = _head(config, config.vector_size + text_size)
        self.freeze_named_parts()

    @property
    def min_samples(self) -> int:
        return MIN_SAMPLES

    def describe(self, batch: EmotionBatch) -> Tensor:
        """Sum up the sound, and the words where the model reads them: float, shape (B, D + W)."""
        vectors_BD = self.listen(batch.samples, batch.num_samples)
        return vectors_BD if self.text is None else torch.cat([vectors_BD, self.read(batch)], dim=1)

    def conclude(self, described_BD: Tensor, speaker_B: Tensor | None) -> EmotionOutput:
        """Classify utterances by what `describe` gave."""
        size = self.config.vector_size
        return self.judge(described_BD[:, :size], speaker_B, None if self.text is None else described_BD[:, size:])

    def listen(self, samples_BS: Tensor, num_samples_B: Tensor) -> Tensor:
        """Sum up the sound of utterances, those of like length together: float, shape (B, D)."""
        limit = MAX_PADDED_S * SAMPLE_RATE_HZ
        lengths = num_samples_B.tolist()
        order: list[int] = []
        vectors: list[Tensor] = []
        for rows in length_buckets(lengths, limit, LIKE_LENGTH):
            longest = max(lengths[row] for row in rows)
            vectors.append(self.pool(*self.encode(samples_BS[rows, :longest], num_samples_B[rows])))
            order += rows
        back_B = torch.tensor(order, device=samples_BS.device).argsort()
        return torch.cat(vectors)[back_B]

    @torch.no_grad()
    def encode(self, samples_BS: Tensor, num_samples_B: Tensor) -> tuple[Tensor, Tensor]:
        """Run the encoder: frames of the layers that are mixed, float, shape (B, L, T, H), and true counts, (B,)."""
        states_BLTH, num_frames_B = self.encoder(samples_BS, num_samples_B, max(self.config.layers))
        return states_BLTH[:, list(self.config.layers)], num_frames_B

    def pool(self, states_BLTH: Tensor, num_frames_B: Tensor) -> Tensor:
        """Sum up the encoder's frames and their true counts: float, shape (B, D)."""
        vectors_BD: Tensor = self.pooling(self.mix(states_BLTH), frame_mask(num_frames_B, states_BLTH.shape[2]))
        return vectors_BD

    def read(self, batch: EmotionBatch) -> Tensor:
        """Average the text's true tokens: float, shape (B, W)."""
        hidden_BNW = batch.text_states(self.text, self.mix.weight.dtype)
        mask_BN1 = batch.text_mask[:, :, None]
        mean_BW: Tensor = (hidden_BNW * mask_BN1).sum(dim=1) / mask_BN1.sum(dim=1).clamp(min=1)
        return mean_BW

    def judge(self, vectors_BD: Tensor, speaker_B: Tensor | None, text_BW: Tensor | None = None) -> EmotionOutput:
        """Classify utterances by the vectors of `pool` or `listen`, and their speakers where they are known."""
        if self.training:
            self.everybody.lerp_(vectors_BD.detach().mean(dim=0), PRIOR_MOMENTUM)
        if self.config.adapts_to_speaker and speaker_B is not None:
            vectors_BD = centre_on_speakers(vectors_BD, speaker_B, self.everybody, self.config.relevance)
        else:
            vectors_BD = vectors_BD - self.everybody
        joint_BD = vectors_BD if text_BW is None else torch.cat([vectors_BD, text_BW], dim=1)
        return EmotionOutput(logits=self.head(joint_BD) / self.config.temperature, joint=joint_BD)


Model = FrozenEncoderModel
"""The name under which `families` finds every family's class."""


def _head(config: FrozenEncoderConfig, size: int) -> nn.Sequential:
    """Logits of an utterance's vector; the norm brings its channels to a like range."""
    num_labels = len(config.labels)
    if not config.hidden_size:
        return nn.Sequential(EmbeddingNorm(size), nn.Dropout(config.dropout), nn.Linear(size, num_labels))
    return nn.Sequential(
        EmbeddingNorm(size),
        nn.Dropout(config.dropout),
        nn.Linear(size, config.hidden_size),
        nn.ReLU(),
        nn.Dropout(config.dropout),
        nn.Linear(config.hidden_size, num_labels),
    )
