"""Joining the branches' scores."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mmer_ray.training.score_fusion import WEIGHTS, Scores, fit_logistic, fit_weight, report

LABELS = torch.arange(400) % 4


def informed(seed: int, strength: float) -> Tensor:
    """Log-posteriors of a branch that knows the truth more or less."""
    noise = torch.randn(400, 4, generator=torch.Generator().manual_seed(seed))
    return (strength * torch.nn.functional.one_hot(LABELS, 4) + noise).log_softmax(dim=1)


@pytest.mark.parametrize(("speech", "text", "low", "high"), [(3.0, 0.0, 0.6, 1.0), (0.0, 3.0, 0.0, 0.4)])
def test_the_weight_goes_to_the_branch_that_knows(speech: float, text: float, low: float, high: float) -> None:
    assert low <= fit_weight(informed(1, speech), informed(2, text), LABELS) <= high


def test_equally_good_weights_leave_the_middle_one() -> None:
    perfect = informed(1, 100.0)
    assert fit_weight(perfect, perfect, LABELS) == 0.5
    # Right from some weight on: the middle of what is left, and of two middle ones the one nearer to one half.
    wrong = -perfect
    best = [w for w in WEIGHTS if ((w * perfect + (1 - w) * wrong).argmax(dim=1) == LABELS).all()]
    assert fit_weight(perfect, wrong, LABELS) == best[(len(best) - 1) // 2]


def test_logistic_regression_finds_a_branch_that_is_systematically_wrong() -> None:
    shifted = informed(1, 4.0).roll(1, dims=1)
    fitted = fit_logistic(shifted, informed(2, 0.0), LABELS)
    assert (fitted(shifted, informed(2, 0.0)).argmax(dim=1) == LABELS).double().mean() > 0.9
    assert fit_weight(shifted, informed(2, 0.0), LABELS) < 0.5


def test_the_report_chooses_on_validation_and_measures_on_test() -> None:
    validation = Scores(informed(1, 3.0), informed(2, 0.0), LABELS)
    test = Scores(informed(3, 0.0), informed(4, 3.0), LABELS)
    found = report(validation, test)
    assert found.weight > 0.5
    assert found.weighted < found.mean < found.text
    assert found.logistic < found.text
    assert found.speech < 0.4
