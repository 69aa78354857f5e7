"""The contrastive terms of MMER in both modes; the published figures are in the parity tests."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from mmer_ray.models.category import category_loss, total
from mmer_ray.models.ctc.losses import ctc_loss
from mmer_ray.models.interface import EmotionOutput, Targets
from mmer_ray.models.mmer import losses
from mmer_ray.models.mmer.losses import TEMPERATURE, augmentation_contrast, supervised_contrast


def vectors(rows: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def cosine(one: Tensor, other: Tensor) -> float:
    return float(one @ other / one.norm() / other.norm())


def test_the_textbook_supervised_term_is_the_formula_of_the_paper() -> None:
    """L_out of Khosla et al. 2020, equation 2, written as its sums; the fifth utterance has no fellow."""
    z, labels = vectors(5), [0, 1, 0, 1, 2]
    terms = []
    for i in range(4):
        others = [a for a in range(5) if a != i]
        below = sum(math.exp(cosine(z[i], z[a]) / TEMPERATURE) for a in others)
        fellows = [p for p in others if labels[p] == labels[i]]
        logs = [math.log(math.exp(cosine(z[i], z[p]) / TEMPERATURE) / below) for p in fellows]
        terms.append(-sum(logs) / len(fellows))
    assert float(supervised_contrast(z, torch.tensor(labels), "textbook")) == pytest.approx(sum(terms) / 4)


def test_the_textbook_terms_do_not_know_the_length_of_a_vector() -> None:
    z, views, labels = vectors(6), vectors(6, seed=1), torch.tensor([0, 1, 0, 1, 2, 2])
    stretched = z * torch.arange(1, 7)[:, None]
    for mode, same in (("textbook", True), ("official", False)):
        supervised = [float(supervised_contrast(one, labels, mode)) for one in (z, stretched)]
        augmentation = [float(augmentation_contrast(one, views, mode)) for one in (z, stretched)]
        assert (supervised[0] == pytest.approx(supervised[1])) is same
        assert (augmentation[0] == pytest.approx(augmentation[1])) is same


def test_without_a_fellow_the_textbook_term_is_nothing_and_has_a_gradient() -> None:
    z = vectors(3).requires_grad_()
    term = supervised_contrast(z, torch.tensor([0, 1, 2]), "textbook")
    term.backward()
    assert term.item() == 0
    assert z.grad is not None
    assert not z.grad.any()


def test_in_official_mode_an_utterance_is_its_own_fellow() -> None:
    """Two classes, two utterances: only the pairs with oneself count, which large vectors saturate to 0."""
    far_apart = torch.tensor([[50.0, 0.0], [0.0, 50.0]])
    assert float(supervised_contrast(far_apart, torch.tensor([0, 1]), "official")) == pytest.approx(0, abs=1e-6)


def test_the_textbook_augmentation_term_looks_both_ways() -> None:
    z, views = vectors(4), vectors(4, seed=1)
    there = augmentation_contrast(z, views, "textbook")
    assert float(there) == pytest.approx(float(augmentation_contrast(views, z, "textbook")))
    official = augmentation_contrast(z, views, "official")
    assert float(official) != pytest.approx(float(augmentation_contrast(views, z, "official")))


def test_a_transcript_that_does_not_fit_costs_nothing() -> None:
    """The published code would give infinity and, a step later, NaN weights."""
    logits = torch.randn(1, 2, 32, requires_grad=True)
    term = ctc_loss(logits, torch.tensor([2]), torch.tensor([[5, 5, 6]]))
    term.sum().backward()
    assert term.tolist() == [0.0]
    assert logits.grad is not None
    assert bool(torch.isfinite(logits.grad).all())


def test_the_mode_reaches_the_total() -> None:
    clean, augmented = vectors(4), vectors(4, seed=1)
    targets = Targets(torch.tensor([0, 0, 1, 1]))
    outputs = [EmotionOutput(logits=one[:, :4], contrast=one) for one in (clean, augmented)]
    for mode in ("official", "textbook"):
        found = total(losses.terms(outputs[0], targets, outputs[1], mode=mode, weight=0.5))
        expected = category_loss(clean[:, :4], targets) + 0.5 * (
            supervised_contrast(clean, targets.labels, mode) + augmentation_contrast(clean, augmented, mode)
        )
        assert float(found) == pytest.approx(float(expected))
