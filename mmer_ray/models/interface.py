"""What every emotion model takes and gives.

Shape letters: B utterances in the batch, S padded samples, N padded text tokens, H hidden size, K classes, T padded
frames, V symbols of the CTC head, J size of the joint vector.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from mmer_ray.errors import UsageError
from mmer_ray.models.encoder_names import ENCODER_NAME, TEXT_NAME
from mmer_ray.models.encoders import tokenise
from mmer_ray.models.wav2vec2 import pad_batch
from mmer_ray.records import Clip as Clip

if TYPE_CHECKING:
    from mmer_ray.models.library import PreTrainedTokenizerBase


UNKNOWN_SPEAKER = -1


@dataclass(frozen=True)
class EmotionBatch:
    """A padded, masked batch. The text comes as token ids or, cached, as features: exactly one of the two."""

    samples: Tensor
    """Float32, shape (B, S): -1..1 at 16 kHz, zeros at the end; each family scales them as it was trained."""
    num_samples: Tensor
    """Int64, shape (B,): true lengths."""
    text_mask: Tensor
    """Bool, shape (B, N): true tokens, begin and end marks included."""
    token_ids: Tensor | None = None
    """Int64, shape (B, N)."""
    text_features: Tensor | None = None
    """Float, shape (B, N, H): the last hidden states of a text encoder, computed beforehand."""
    dialogue: Tensor | None = None
    """Int64, shape (B,): which conversation each utterance belongs to; those of one stand together, in order of
    time. None: each utterance is a conversation of its own. Only families with `reads_dialogue` look."""
    speaker: Tensor | None = None
    """Int64, shape (B,): utterances of one dialogue with the same number have one speaker; -1: nobody knows whose it
    is. None: nobody knows of any. Only models that adapt to speakers look (`AdaptingModel`)."""

    def __post_init__(self) -> None:
        if (self.token_ids is None) == (self.text_features is None):
            raise ValueError("a batch carries token_ids or text_features: exactly one of them")

    def text_states(self, encoder: nn.Module | None, dtype: torch.dtype, *, num_layers: int = 1) -> Tensor:
        """Return the batch's own text features as `dtype`, or what the encoder makes of its tokens.

        Float, shape (B, N, H); of several last layers side by side, the last one first. Raises `UsageError` where
        tokens meet a model without a text encoder.
        """
        if self.text_features is not None:
            return self.text_features.to(dtype)
        if encoder is None:
            raise UsageError("this model has no text encoder (config.text is null): give text_features")
        several = num_layers > 1
        answer = encoder(self.token_ids, attention_mask=self.text_mask.long(), output_hidden_states=several)
        layers = answer.hidden_states[: -num_layers - 1 : -1] if several else (answer.last_hidden_state,)
        return torch.cat(layers, dim=2)

    def to(self, device: torch.device | str) -> EmotionBatch:
        """The same batch on another device."""
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: part.to(device) for name, part in parts.items() if part is not None})


@dataclass(frozen=True)
class EmotionOutput:
    """What a family computes; None where it has no such part."""

    logits: Tensor
    """Float, shape (B, K), in the order of the model's `labels`."""
    dimensions: Tensor | None = None
    """Float, shape (B, 3): valence, arousal, dominance, -1..1; NaN in the column of one that the model lacks."""
    joint: Tensor | None = None
    """Float, shape (B, J): what the classifier reads."""
    contrast: Tensor | None = None
    """Float, shape (B, H): what the contrastive losses compare."""
    ctc_logits: Tensor | None = None
    """Float, shape (B, T, V)."""
    num_frames: Tensor | None = None
    """Int64, shape (B,): true frames of `ctc_logits`."""
    ctc_costs: Tensor | None = None
    """Float32, shape (B,): loss of each utterance's transcript; in place of `ctc_logits`, where it is known already."""
    branches: Mapping[str, Tensor] | None = None
    """Name of a branch ("audio", "text") -> its own logits, float, shape (B, K)."""


@dataclass(frozen=True)
class Targets:
    """What the utterances of a batch truly are; None where nobody knows."""

    labels: Tensor
    """Int64, shape (B,): index into the model's `labels`."""
    dimensions: Tensor | None = None
    """Float, shape (B, 3): valence, arousal, dominance, -1..1; NaN where one is unknown."""
    ctc: Tensor | None = None
    """Int64, shape (B, L): symbols of the transcript, padded with `ctc.losses.TARGET_PADDING`."""
    shares: Tensor | None = None
    """Float, shape (B, K): share of the raters who chose each class; a row sums to 1. None: `labels` are all that is
    known."""
    class_weights: Tensor | None = None
    """Float, shape (K,): how much each class weighs in the category term. None: all alike."""


class EmotionModel(nn.Module, ABC):
    """A family: batch in, logits and, where the family has them, dimensions out. Losses are functions beside it."""

    family: str
    """Name of the family, as in `models/families.py`."""
    labels: tuple[str, ...]
    """Class names in the order of the logits."""
    config: Any
    """The frozen dataclass that the model was built from; the adapter of foreign checkpoints has none."""
    unread_parameters: frozenset[str] = frozenset()
    """Parameters that published counts call trainable and that nothing reads: they never get a gradient."""
    speech_encoder_part: str = "audio"
    """The submodule that holds the pretrained speech encoder, and the key of the configuration with its sizes."""
    text_encoder_part: str = "text"
    """The submodule that holds the pretrained text encoder, where there is one."""
    noted_parts: tuple[str, ...] = ()
    """Submodules below the first level whose parameters are counted apart."""
    reads_text: bool = True
    """Whether a transcript is wanted, as token ids or as features."""
    reads_dialogue: bool = False
    """Whether an answer depends on the other utterances of the same conversation."""
    temperature: float = 1.0
    """Divides the logits before they become probabilities, where the configuration's own temperature does not."""
    min_confidence: float = 0.0
    """An answer whose best probability lies below is withheld by who asks."""

    @property
    @abstractmethod
    def min_samples(self) -> int:
        """The fewest samples that the model can judge."""

    @abstractmethod
    def forward(self, batch: EmotionBatch) -> EmotionOutput:
        """Score a batch; an utterance's answer does not depend on its neighbours."""

    def named_parts(self) -> dict[str, tuple[str, str]]:
        """Submodule -> the configuration's key and the name of the encoder that is there: its weights are frozen and
        lie where the name finds them."""
        keys = {self.speech_encoder_part: ENCODER_NAME, self.text_encoder_part: TEXT_NAME}
        names = {part: (key, getattr(self.config, key, None)) for part, key in keys.items()}
        return {part: (key, name) for part, (key, name) in names.items() if name is not None}

    def freeze_named_parts(self) -> None:
        """Take the encoders that have a name out of training."""
        for part in self.named_parts():
            self.get_submodule(part).requires_grad_(False)

    def score_variation(self, batch: EmotionBatch) -> EmotionOutput:
        """Score variations of utterances, for losses that compare two of each: by the same path, but where a family
        has a head of its own for them."""
        output: EmotionOutput = self(batch)
        return output


class AdaptingModel(EmotionModel, ABC):
    """A family whose answers may depend on the speaker's other utterances, in two steps.

    `describe` sums up each utterance by itself; `conclude` answers for all utterances of a recording at once. What lies
    between is small: it can wait for a recording's end.
    """

    adapts_to_speaker: bool = False
    """Whether answers do depend on them; else `conclude` judges each utterance by itself."""

    @abstractmethod
    def describe(self, batch: EmotionBatch) -> Tensor:
        """Sum up utterances, each by itself: float, shape (B, D)."""

    @abstractmethod
    def conclude(self, described_BD: Tensor, speaker_B: Tensor | None) -> EmotionOutput:
        """Judge utterances by what `describe` gave; `speaker_B` as `EmotionBatch.speaker`."""

    def forward(self, batch: EmotionBatch) -> EmotionOutput:
        """Score a batch; the other utterances of a speaker are those of the same batch and dialogue."""
        return self.conclude(self.describe(batch), batch.speaker)


class LoadedModel(NamedTuple):
    """A checkpoint in memory: the model in evaluation mode and what turns its texts into tokens."""

    model: EmotionModel
    tokenizer: PreTrainedTokenizerBase | None
    """None: the model reads no text."""


def collate(
    clips: Sequence[Clip], tokenizer: PreTrainedTokenizerBase | None, dialogue: Sequence[int] | None = None
) -> EmotionBatch:
    """Pad clips and their tokens to the longest of the batch; without a tokenizer there are no tokens (N = 0).

    `dialogue`: the conversation of each clip, those of one together and in order of time.
    """
    samples_BS, num_samples_B = pad_batch([clip.samples for clip in clips])
    dialogue_B = None if dialogue is None else torch.tensor(dialogue, dtype=torch.int64)
    speaker_B = None if dialogue is None else number_speakers([clip.speaker for clip in clips], dialogue)
    if tokenizer is None:
        no_tokens_BN = torch.zeros(len(clips), 0, dtype=torch.int64)
        token_ids_BN, text_mask_BN = no_tokens_BN, no_tokens_BN.bool()
    else:
        token_ids_BN, text_mask_BN = tokenise(tokenizer, [clip.text for clip in clips])
    return EmotionBatch(samples_BS, num_samples_B, text_mask_BN, token_ids_BN, dialogue=dialogue_B, speaker=speaker_B)


def number_speakers(speakers: Sequence[str | None], dialogue: Sequence[int]) -> Tensor:
    """Number the speakers of dialogues, -1 where one is not known: int64, shape (B,).

    >>> number_speakers(["S1", "S2", "S1", None, "S1"], [0, 0, 0, 1, 1]).tolist()
    [0, 1, 0, -1, 2]
    """
    numbers: dict[tuple[int, str], int] = {}
    return torch.tensor(
        [
            UNKNOWN_SPEAKER if speaker is None else numbers.setdefault((number, speaker), len(numbers))
            for speaker, number in zip(speakers, dialogue, strict=True)
        ],
        dtype=torch.int64,
    )
