"""The weight that joins the branches of late fusion."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mmer_ray.models import families
from mmer_ray.models.interface import EmotionBatch, EmotionOutput
from mmer_ray.models.late_fusion.model import LateFusionModel
from mmer_ray.training.clips import load_clip
from mmer_ray.training.embedded_text import train_tokenizer
from mmer_ray.training.fusion_weight import choose_fusion_weight
from mmer_ray.training.utterances import Utterance
from tests.training.tones import tones

LABELS = ("sad", "happy")


class Fused(LateFusionModel):
    """One branch is always right and the other always wrong."""

    speech_is_right = True

    def forward(self, batch: EmotionBatch) -> EmotionOutput:
        # Low tones are sad: how often the samples cross zero tells.
        crossings_B = (batch.samples[:, 1:] * batch.samples[:, :-1] < 0).sum(dim=1) / batch.num_samples
        truth_B = (crossings_B > 0.08).long()
        speech_BK = torch.nn.functional.one_hot(truth_B if self.speech_is_right else 1 - truth_B, 2).float()
        text_BK = torch.nn.functional.one_hot(1 - truth_B if self.speech_is_right else truth_B, 2).float()
        weight = self.speech_weight
        return EmotionOutput(logits=weight * speech_BK.log_softmax(dim=1) + (1 - weight) * text_BK.log_softmax(dim=1))


@pytest.fixture
def utterances(tmp_path: Path) -> list[Utterance]:
    return tones(tmp_path, 6)


@pytest.mark.parametrize(("speech_is_right", "weight"), [(True, 0.55), (False, 0.45)])
def test_the_branch_that_is_right_on_the_development_set_gets_just_the_weight_that_decides(
    utterances: list[Utterance], speech_is_right: bool, weight: float
) -> None:
    config = families.config_of("late_fusion", "tiny")
    model = Fused(type(config)(**{**vars(config), "labels": LABELS}))
    model.speech_is_right = speech_is_right
    tokenizer = train_tokenizer(["a b"], int(config.text["vocab_size"]))
    assert choose_fusion_weight(model, utterances, load_clip, tokenizer) == pytest.approx(weight)
    assert float(model.speech_weight) == pytest.approx(weight)
