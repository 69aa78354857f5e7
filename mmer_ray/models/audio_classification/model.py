"""A foreign speech classifier behind the interface of the emotion models. It hears; what was said it does not read.

Shape letters: B utterances, S padded samples, F labels of the checkpoint, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmer_ray.models import wav2vec2
from mmer_ray.models.audio_classification.config import FAMILY, AudioClassificationConfig, class_name
from mmer_ray.models.encoders import build_audio_classifier, build_feature_extractor
from mmer_ray.models.interface import EmotionBatch, EmotionModel, EmotionOutput
from mmer_ray.models.library import FeatureExtractionMixin, PreTrainedModel
from mmer_ray.records import SAMPLE_RATE_HZ

MIN_SPECTROGRAM_SAMPLES = 560
"""Two windows of 25 ms, 10 ms apart: some extractors divide by the deviation over their windows."""


class AudioClassificationModel(EmotionModel):
    """A classifier and its own feature extractor.

    Utterances of exactly one length run together, all others apart, so that none is ever padded beside another:
    not every such network can mask its padding. Labels that mean one class are added, in probability.
    An extractor of a fixed length (10 s for AST, 30 s for Whisper) cuts what is longer.
    """

    family = FAMILY
    reads_text = False

    def __init__(self, network: PreTrainedModel, extractor: FeatureExtractionMixin) -> None:
        super().__init__()
        self.network = network
        self.extractor = extractor
        assert network.config.id2label
        names = [class_name(label) for _, label in sorted(network.config.id2label.items())]
        self.labels = tuple(dict.fromkeys(names))
        self._members = [[i for i, name in enumerate(names) if name == label] for label in self.labels]
        for name, parameter in network.named_parameters():
            # The convolutions stay as pre-trained, as in the other families; the stand-in for masked frames gets no
            # gradient without SpecAugment.
            if ".feature_extractor." in name or name.endswith("masked_spec_embed"):
                parameter.requires_grad_(False)

    @property
    def min_samples(self) -> int:
        config = self.network.config
        if not hasattr(config, "conv_kernel"):
            return MIN_SPECTROGRAM_SAMPLES
        # SEW joins neighbouring frames before its transformer.
        return wav2vec2.min_samples(config, frames=getattr(config, "squeeze_factor", 1))

    def forward(self, batch: EmotionBatch) -> EmotionOutput:
        """Score the sound of a batch; its text is not looked at."""
        rows_by_length: dict[int, list[int]] = {}
        for row, length in enumerate(batch.num_samples.tolist()):
            rows_by_length.setdefault(length, []).append(row)
        order = [row for rows in rows_by_length.values() for row in rows]
        logits_BF = torch.cat([self._score(batch.samples[rows, :n]) for n, rows in rows_by_length.items()])
        back_B = torch.tensor(order, device=logits_BF.device).argsort()
        return EmotionOutput(logits=merge(logits_BF, self._members)[back_B])

    def _score(self, samples_BS: Tensor) -> Tensor:
        """Score utterances of one length: float, shape (B, F)."""
        # The library's base class of extractors has no call of its own.
        extract: Any = self.extractor
        speech = list(samples_BS.float().cpu().numpy())
        features = extract(speech, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")
        inputs = {name: self._placed(value) for name, value in features.items()}
        logits_BF: Tensor = self.network(**inputs).logits
        return logits_BF

    def _placed(self, value: Tensor) -> Tensor:
        return value.to(self.network.device, self.network.dtype if value.is_floating_point() else value.dtype)


def merge(logits_BF: Tensor, members: Sequence[Sequence[int]]) -> Tensor:
    """Join the labels of each class so that their probabilities add up: float, shape (B, K)."""
    return torch.stack([logits_BF[:, list(labels)].logsumexp(dim=1) for labels in members], dim=1)


def build_fresh(config: AudioClassificationConfig) -> AudioClassificationModel:
    """Make a classifier of raw speech with fresh weights."""
    return AudioClassificationModel(build_audio_classifier(config.network), build_feature_extractor(config.extractor))


Model = build_fresh
"""The name under which `families` finds what makes a model of a configuration."""
