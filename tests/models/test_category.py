"""The category term: labels, raters' shares and class weights, in every family."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from mmer_ray.models.category import category_loss
from mmer_ray.models.families import FAMILIES, loss_of
from mmer_ray.models.interface import EmotionOutput, Targets
from mmer_ray.models.leaf_transformer.losses import STAGES

WEIGHTS = torch.tensor([0.5, 1.0, 2.0, 4.0])
LABELS = torch.tensor([0, 3, 1, 2, 3])


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_on_labels_it_is_the_loss_of_torch(weights: Tensor | None) -> None:
    logits = drawn(5, 4)
    expected = nn.CrossEntropyLoss(weight=weights)(logits, LABELS)
    torch.testing.assert_close(category_loss(logits, Targets(LABELS, class_weights=weights)), expected)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_raters_who_all_agree_give_what_a_label_gives(weights: Tensor | None) -> None:
    logits, targets = drawn(5, 4), Targets(LABELS, class_weights=weights)
    agreed = replace(targets, shares=nn.functional.one_hot(LABELS, 4).float())
    torch.testing.assert_close(category_loss(logits, agreed), category_loss(logits, targets))


def test_the_loss_is_least_where_the_probabilities_are_the_raters_shares() -> None:
    shares = drawn(5, 4).softmax(dim=1)
    logits = shares.log().requires_grad_()
    category_loss(logits, Targets(LABELS, shares=shares)).backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, torch.zeros(5, 4), rtol=0, atol=1e-7)


def test_a_rare_class_pulls_as_often_as_its_weight_says() -> None:
    """One utterance of weight 4 moves the logits as four of weight 1 do."""
    logits = torch.zeros(2, 4, requires_grad=True)
    category_loss(logits, Targets(torch.tensor([1, 3]), class_weights=WEIGHTS)).backward()
    assert logits.grad is not None
    assert float(logits.grad[1, 3] / logits.grad[0, 1]) == pytest.approx(4.0)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_learns_from_shares_and_weights(family: str) -> None:
    names = dict.fromkeys(["audio", "text", *(name for stage in STAGES.values() for name in stage)])
    branches = {name: drawn(5, 4, seed=place) for place, name in enumerate(names)}
    output = EmotionOutput(drawn(5, 4, seed=9), contrast=drawn(5, 8), branches=branches)
    targets = Targets(LABELS)
    found = [
        float(loss_of(family)(output, one, None))
        for one in (
            targets,
            replace(targets, shares=drawn(5, 4).softmax(dim=1)),
            replace(targets, class_weights=WEIGHTS),
        )
    ]
    assert len({round(value, 5) for value in found}) == len(found)
