"""Bridge tokens (Ispas, Deschamps-Berger and Devillers 2023, arXiv 2401.00536).

What the paper leaves open is chosen here: the self-attentions carry a residual and a norm, the cross-attentions carry
neither (their queries have nothing to carry over), no part has a feed-forward layer, each head has one hidden layer.

Shape letters: B utterances, S padded samples, N padded text tokens, T padded frames, P positions of a sequence (N or
T), L bridge tokens, H hidden size, K classes, D predicted dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmer_ray.models import speech_backbones, wav2vec2
from mmer_ray.models.bridge_tokens.alignment import Stream, align
from mmer_ray.models.bridge_tokens.config import FAMILY, BridgeTokensConfig
from mmer_ray.models.bridge_tokens.masking import Modality
from mmer_ray.models.encoders import build_audio_encoder, build_text_encoder
from mmer_ray.models.interface import EmotionBatch, EmotionModel, EmotionOutput

TOKEN_DEVIATION = 0.02
# The corpus is rated from 1 to 5; the published regressor's sigmoid stands for the rating divided by 5.
HIGHEST_RATING = 5.0
MIDDLE_RATING = 3.0


class SelfAttention(nn.Module):
    """A sequence reads itself: attention, residual, norm."""

    def __init__(self, hidden_size: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(hidden_size, num_heads, dropout=dropout, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(hidden_size)

    def forward(self, stream: Stream) -> Stream:
        """Refine the true positions; padded ones come out as zeros."""
        hidden_BPH = stream.hidden
        attended_BPH = attend(self.attention, hidden_BPH, hidden_BPH, hidden_BPH, stream.mask)
        return Stream.of(self.norm(hidden_BPH + self.dropout(attended_BPH)), stream.mask)


class BridgeTokensModel(EmotionModel):
    """Learnable queries that read keys of one modality and values of the other."""

    family = FAMILY
    masked_modality: Modality | None = None
    """The modality that training does not see at present; see `mask`."""

    def __init__(self, config: BridgeTokensConfig) -> None:
        super().__init__()
        self.config = config
        self.labels = config.labels
        width, heads, dropout = config.hidden_size, config.num_heads, config.dropout
        self.audio = build_audio_encoder(config.audio)
        self.text = None if config.text is None else build_text_encoder(config.text)
        self.audio_reads_itself = SelfAttention(width, heads, dropout)
        self.text_reads_itself = SelfAttention(width, heads, dropout)
        self.audio_tokens = nn.Parameter(TOKEN_DEVIATION * torch.randn(config.num_tokens, width))
        self.text_tokens = nn.Parameter(TOKEN_DEVIATION * torch.randn(config.num_tokens, width))
        self.audio_to_text = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.text_to_audio = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.classifier = _head(width, len(config.labels), dropout)
        self.regressor = _head(width, 3 if config.dominance else 2, dropout)
        self._resting: list[nn.Parameter] = []
        if config.freeze_embeddings:
            self._freeze_embeddings()
        if hasattr(self.audio, "masked_spec_embed"):
            # SpecAugment's stand-in for frames, which nothing reads.
            self.audio.masked_spec_embed.requires_grad_(False)
        self.freeze_named_parts()

    @property
    def min_samples(self) -> int:
        return speech_backbones.min_samples(self.audio)

    def forward(self, batch: EmotionBatch) -> EmotionOutput:
        """Score a batch; without a dominance head, dominance is NaN. Raises `UsageError` for tokens without encoder."""
        audio = self.audio_reads_itself(self._listen(batch))
        text = self.text_reads_itself(self._read(batch))
        audio_keys_BH = self._bridge(self.audio_to_text, self.audio_tokens, keys=audio, values=text)
        text_keys_BH = self._bridge(self.text_to_audio, self.text_tokens, keys=text, values=audio)
        joint_BH = torch.stack([audio_keys_BH, text_keys_BH]).mean(dim=0)
        return EmotionOutput(
            logits=self.classifier(joint_BH),
            dimensions=dimensions_of(self.regressor(joint_BH).sigmoid()),
            joint=joint_BH,
        )

    def mask(self, modality: Modality | None) -> None:
        """Hide one modality from training, usually for an epoch, until called again; None hides nothing.

        While in training mode, its embeddings are zeros and its encoder is neither run nor trained (random modality
        masking). Data-parallel training must allow parameters without gradient in such epochs.
        """
        for parameter in self._resting:
            parameter.requires_grad_(True)
        encoder = {"audio": self.audio, "text": self.text}[modality] if modality else None
        self._resting = [each for each in encoder.parameters() if each.requires_grad] if encoder else []
        for parameter in self._resting:
            parameter.requires_grad_(False)
        self.masked_modality = modality

    def _freeze_embeddings(self) -> None:
        """Keep what stands before the transformers' layers as it was pre-trained, as published."""
        frozen = speech_backbones.embeddings(self.audio)
        if self.text is not None:
            frozen.append(self.text.get_submodule("embeddings"))
        for module in frozen:
            module.requires_grad_(False)

    def _hides(self, modality: Modality) -> bool:
        return self.training and self.masked_modality == modality

    def _listen(self, batch: EmotionBatch) -> Stream:
        """Return the speech encoder's frames, shape (B, T, H)."""
        if self._hides("audio"):
            num_frames_B = speech_backbones.num_frames(self.audio, batch.num_samples)
            num_padded = max(1, int(num_frames_B.max()))
            hidden_BTH = self.audio_tokens.new_zeros(len(num_frames_B), num_padded, self.config.hidden_size)
        else:
            hidden_BTH, num_frames_B = speech_backbones.encode(
                self.audio, batch.samples, batch.num_samples, normalise=self.config.normalise
            )
        return Stream.of(hidden_BTH, wav2vec2.frame_mask(num_frames_B, hidden_BTH.shape[1]))

    def _read(self, batch: EmotionBatch) -> Stream:
        """Return the text's features, shape (B, N, H)."""
        mask_BN = batch.text_mask.bool()
        if self._hides("text"):
            return Stream.of(self.text_tokens.new_zeros(*mask_BN.shape, self.config.hidden_size), mask_BN)
        return Stream.of(batch.text_states(self.text, self.text_tokens.dtype), mask_BN)

    def _bridge(self, attention: nn.MultiheadAttention, tokens_LH: Tensor, *, keys: Stream, values: Stream) -> Tensor:
        """Let the bridge tokens read across the modalities: their mean, float, shape (B, H)."""
        aligned = align(keys, values, self.config.kv_align)
        query_BLH = tokens_LH.expand(len(keys.hidden), -1, -1)
        return attend(attention, query_BLH, aligned.keys, aligned.values, aligned.mask).mean(dim=1)


Model = BridgeTokensModel
"""The name under which `families` finds every family's class."""


def attend(
    attention: nn.MultiheadAttention, query_BLH: Tensor, keys_BPH: Tensor, values_BPH: Tensor, mask_BP: Tensor
) -> Tensor:
    """Let each query read the unmasked positions: float, shape (B, L, H)."""
    attended: tuple[Tensor, Tensor | None] = attention(
        query_BLH, keys_BPH, values_BPH, key_padding_mask=~mask_BP, need_weights=False
    )
    return attended[0]


def dimensions_of(shares_BD: Tensor) -> Tensor:
    """Turn the regressor's sigmoids into valence, arousal and dominance: -1..1, shape (B, 3), NaN where not predicted.

    A sigmoid s stands for the rating 5s, the ratings 1..5 for -1..1, so the dimension is (5s - 3) / 2. What lies below
    the lowest rating (s < 0.2) is cut to -1, but its gradient is let through: a sigmoid that has sunk there can rise.
    """
    signed_BD = (HIGHEST_RATING * shares_BD - MIDDLE_RATING) / (HIGHEST_RATING - MIDDLE_RATING)
    signed_BD = signed_BD + (signed_BD.clamp(-1, 1) - signed_BD).detach()
    unknown = signed_BD.new_full((len(signed_BD), 3 - signed_BD.shape[1]), torch.nan)
    return torch.cat([signed_BD, unknown], dim=1)


def _head(width: int, num_outputs: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, num_outputs))
