"""The cached gradient equals that of one graph over everything, dropout and all."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from mmer_ray.models.families import build, loss_of
from mmer_ray.models.interface import EmotionModel
from mmer_ray.training.answers import Answers, ask, join
from mmer_ray.training.batch import TrainingBatch
from mmer_ray.training.objective import backward
from tests.training.utterance_maker import training_batch


def direct(model: EmotionModel, batches: Sequence[TrainingBatch]) -> float:
    """One graph over all micro-batches."""
    rows = join([ask(model, batch, None) for batch in batches])
    output, targets, augmented = Answers.of_rows(rows, batches[0].targets.class_weights)
    loss = loss_of(model.family)(output, targets, augmented)
    torch.autograd.backward(loss)
    return float(loss.detach())


def cached(model: EmotionModel, batches: Sequence[TrainingBatch]) -> float:
    return backward(model, loss_of(model.family), batches, mode="cached")["loss"]


def test_the_truth_of_a_batch_is_left_as_it_is() -> None:
    batches = [training_batch(numbers) for numbers in ([0, 1], [2, 3])]
    cached(build("bridge_tokens", "tiny").train(), batches)
    for batch in batches:
        assert batch.targets.dimensions is not None
        assert batch.targets.shares is not None
        assert not batch.targets.dimensions.requires_grad
        assert not batch.targets.shares.requires_grad


@pytest.mark.parametrize("family", ["mmer", "bridge_tokens", "late_fusion"])
def test_the_cached_gradient_is_the_direct_one_with_the_same_dropout(family: str) -> None:
    batches = [training_batch(numbers)._replace(seed=None) for numbers in ([0, 1], [2, 3], [4, 5])]
    found: list[tuple[float, dict[str, Tensor], Tensor]] = []
    for way in (direct, cached, direct):
        torch.manual_seed(0)
        model = build(family, "tiny").train()
        torch.manual_seed(1 if way is cached or not found else 2)
        loss = way(model, batches)
        gradients = {name: one.grad for name, one in model.named_parameters() if one.grad is not None}
        found.append((loss, gradients, torch.rand(1)))
    expected, ours, other_dropout = found
    assert ours[0] == pytest.approx(expected[0], rel=1e-5)
    assert ours[1].keys() == expected[1].keys()
    for name, gradient in expected[1].items():
        allowed = 1e-5 * max(1.0, float(gradient.abs().max()))
        torch.testing.assert_close(ours[1][name], gradient, rtol=0, atol=allowed, msg=lambda m, n=name: n + m)
    assert torch.equal(ours[2], expected[2]), "the generator goes on from where one pass would leave it"
    assert other_dropout[0] != pytest.approx(expected[0], rel=1e-4), "dropout does count"
