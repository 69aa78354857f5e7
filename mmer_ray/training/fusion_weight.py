"""The weight that joins the branches of `late_fusion`, chosen once both are trained (Padi et al., Odyssey 2022)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmer_ray.models.late_fusion.model import LateFusionModel
from mmer_ray.models.library import PreTrainedTokenizerBase
from mmer_ray.training.kept_clips import Load
from mmer_ray.training.material import class_of
from mmer_ray.training.metrics import unweighted_accuracy
from mmer_ray.training.predict import predict
from mmer_ray.training.utterances import Utterance

WEIGHTS = tuple(step / 20 for step in range(21))
"""Of the speech branch; the text branch has the rest."""
PLAIN_MEAN = 0.5


def choose_fusion_weight(
    model: LateFusionModel,
    utterances: Sequence[Utterance],
    load: Load,
    tokenizer: PreTrainedTokenizerBase | None,
) -> float:
    """Set the weight with the best unweighted accuracy on labelled utterances, and return it.

    Of equally good ones the nearest to the plain mean is taken. With `torch.distributed` all workers call this alike.
    """
    truth_N = np.array([class_of(one, model.labels) for one in utterances])
    log_p = []
    for branch_alone in (1.0, 0.0):
        model.speech_weight.fill_(branch_alone)
        log_p.append(predict(model, utterances, load, tokenizer).logits)
    speech_NK, text_NK = log_p

    def goodness(weight: float) -> tuple[float, float]:
        answers_N = (weight * speech_NK + (1 - weight) * text_NK).argmax(axis=1)
        return unweighted_accuracy(truth_N, answers_N), -abs(weight - PLAIN_MEAN)

    best = max(WEIGHTS, key=goodness)
    model.speech_weight.fill_(best)
    return best
