"""One step of training."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mmer_ray.errors import TrainingError
from mmer_ray.models.interface import EmotionBatch, EmotionOutput, Targets
from mmer_ray.training.averages import running_average
from mmer_ray.training.batch import TrainingBatch
from mmer_ray.training.history import HISTORY_NAME, read_history
from mmer_ray.training.learner import Learner, backward_of
from mmer_ray.training.recipe import Recipe
from mmer_ray.training.schedule import Minutes, Steps
from tests.training.tones import Ear

PLAIN = Recipe(weight_decay=0.0, average_decay=None, max_gradient_norm=0.0)


def loss(model: nn.Module, batch: Tensor) -> Tensor:
    return model(batch).square().mean()


def test_accumulated_micro_batches_have_the_mean_of_their_gradients() -> None:
    norms = []
    rows = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    for micro_batches in ([rows], [rows[:2], rows[2:]]):
        torch.manual_seed(0)
        learner: Learner[Tensor] = Learner(nn.Linear(3, 1), loss, replace(PLAIN, mode="accumulated"), backward_of)
        norms.append(learner.step(micro_batches, 1.0))
    assert norms[0] == pytest.approx(norms[1], abs=1e-6)


def test_gradients_are_scaled_down_to_the_norm_asked_for_and_their_own_is_told() -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    learner: Learner[Tensor] = Learner(model, loss, replace(PLAIN, max_gradient_norm=0.25), backward_of)
    told = learner.step([torch.full((2, 3), 9.0)], 1.0)["gradient_norm"]
    after = torch.cat([one.grad.flatten() for one in model.parameters() if one.grad is not None]).norm()
    assert told > 1
    assert float(after) == pytest.approx(0.25, rel=1e-3)


def steep_at_zero(model: nn.Module, batch: Tensor) -> Tensor:
    """Finite, with a slope that is not: a square root at 0."""
    return (model(batch) * 0.0).sum().sqrt()


@pytest.mark.parametrize("max_gradient_norm", [0.0, 1.0])
def test_a_gradient_that_is_not_finite_changes_no_weight_and_names_the_step(max_gradient_norm: float) -> None:
    model = nn.Linear(3, 1)
    before = model.weight.detach().clone()
    recipe = replace(PLAIN, max_gradient_norm=max_gradient_norm)
    learner: Learner[Tensor] = Learner(model, steep_at_zero, recipe, backward_of)
    with pytest.raises(
        TrainingError, match=r"step 1: the loss is finite and its gradient is not: .* a lower peak_rate"
    ):
        learner.step([torch.ones(1, 3)], 1.0)
    assert torch.equal(model.weight, before)


def test_a_gradient_that_is_not_finite_names_the_utterances() -> None:
    def loss(output: EmotionOutput, targets: Targets, augmented: EmotionOutput | None = None) -> Tensor:
        return (output.logits * 0.0).sum().sqrt()

    batch = EmotionBatch(torch.ones(2, 8), torch.tensor([8, 8]), torch.zeros(2, 0).bool(), torch.zeros(2, 0).long())
    learner: Learner[TrainingBatch] = Learner(Ear(), loss, PLAIN)
    with pytest.raises(TrainingError, match="its gradient of first, second is not"):
        learner.step([TrainingBatch((batch,), Targets(torch.tensor([0, 1])), ("first", "second"))], 1.0)


def test_the_rate_rises_to_its_peak_and_falls_to_its_final_share() -> None:
    learner: Learner[Tensor] = Learner(nn.Linear(3, 1), loss, PLAIN, backward_of)
    rates = [learner.step([torch.ones(1, 3)], share)["rate"] for share in (0.05, 0.1, 1.0)]
    assert rates == pytest.approx([PLAIN.peak_rate / 2, PLAIN.peak_rate, PLAIN.peak_rate * PLAIN.final_share])


def test_a_training_has_as_many_steps_as_its_budget() -> None:
    assert [Steps(3).share(step) for step in range(4)] == pytest.approx([1 / 3, 2 / 3, 1, 4 / 3])
    assert Steps(0).share(0) > 1
    assert Minutes(0).share(0) > 1
    assert 0.5 <= Minutes(1, already_s=30).share(7) <= 1


def test_frozen_parameters_stay_and_get_no_decay() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 3).requires_grad_(False), nn.Linear(3, 1))
    before = model[0].weight.clone()
    learner: Learner[Tensor] = Learner(model, loss, replace(PLAIN, weight_decay=0.5), backward_of)
    learner.step([torch.ones(2, 3)], 1.0)
    assert torch.equal(model[0].weight, before)


def test_the_average_starts_with_the_weights_follows_slower_and_slower_and_copies_counters() -> None:
    model = Ear()
    average = running_average(model, decay=0.15)
    for value in (1.0, 2.0, 3.0):
        torch.nn.init.constant_(model.classifier.bias, value)
        model.norm(torch.randn(4, 1))
        average.update_parameters(model)
    # Shares kept: 0 of 9, 1 of 10, then 2 of 11, which is more than the decay.
    after_two = 0.1 * 1.0 + 0.9 * 2.0
    assert torch.allclose(average.module.classifier.bias, torch.full((2,), 0.15 * after_two + 0.85 * 3.0))
    assert average.module.norm.num_batches_tracked == model.norm.num_batches_tracked == 3


@pytest.mark.slow  # Those of Ray Train, which run every time, have it too (`tests/runners/test_train.py`).
def test_two_workers_have_the_curve_of_one(tmp_path: Path) -> None:
    """Of MMER, whose contrastive terms see the whole batch, with dropout, two views and CTC."""
    for num_workers in (1, 2):
        command = [sys.executable, "-m", "tests.training.workers_driver", str(tmp_path), str(num_workers)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        ended = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
    one, two = (read_history(tmp_path / f"workers-{num_workers}" / HISTORY_NAME) for num_workers in (1, 2))
    assert len(one) == len(two) == 7
    for left, right in zip(one, two, strict=True):
        assert left == pytest.approx(right, abs=1e-5, rel=1e-5)
