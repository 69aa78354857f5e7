"""Three ways to join the log-posteriors of two branches, chosen on validation utterances and reported side by side.

Shape letters: N utterances, K classes, J = 2K.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mmer_ray.training.metrics import unweighted_accuracy

NUM_STEPS = 20
WEIGHTS = tuple(step / NUM_STEPS for step in range(NUM_STEPS + 1))
"""Shares of the speech branch that are tried: 0, 0.05, ..., 1."""
PENALTY = 1.0
"""Half of the squared norm of the logistic regression's matrix counts as much as one utterance's cross-entropy."""
MAX_STEPS = 200


@dataclass(frozen=True)
class Scores:
    """What the two branches say of the same utterances, and the truth."""

    log_p_speech: Tensor
    """Float, shape (N, K)."""
    log_p_text: Tensor
    """Float, shape (N, K)."""
    labels: Tensor
    """Int64, shape (N,)."""


@dataclass(frozen=True)
class Logistic:
    """A multinomial logistic regression over both branches' log-posteriors."""

    matrix: Tensor
    """Float64, shape (J, K)."""
    bias: Tensor
    """Float64, shape (K,)."""

    def __call__(self, log_p_speech_NK: Tensor, log_p_text_NK: Tensor) -> Tensor:
        """Join scores: float64, shape (N, K)."""
        return torch.cat([log_p_speech_NK, log_p_text_NK], dim=1).double() @ self.matrix + self.bias


@dataclass(frozen=True)
class FusionReport:
    """Unweighted accuracy on test utterances of each way, and of the branches alone."""

    weight: float
    """The share of speech that the validation utterances chose."""
    weighted: float
    mean: float
    logistic: float
    speech: float
    text: float


def weighted_sum(log_p_speech_NK: Tensor, log_p_text_NK: Tensor, weight: float) -> Tensor:
    """Join scores by a weight: float, shape (N, K); a class's score is a log-posterior but for a constant."""
    return weight * log_p_speech_NK + (1 - weight) * log_p_text_NK


def fit_weight(log_p_speech_NK: Tensor, log_p_text_NK: Tensor, labels_N: Tensor) -> float:
    """Return the weight of `WEIGHTS` with the best unweighted accuracy on these utterances.

    Where several are best, it is the middle one of them; where two stand in the middle, the one nearer to 0.5.
    """
    accuracies = [_accuracy(weighted_sum(log_p_speech_NK, log_p_text_NK, w), labels_N) for w in WEIGHTS]
    best = [weight for weight, found in zip(WEIGHTS, accuracies, strict=True) if found == max(accuracies)]
    middle = best[(len(best) - 1) // 2 : len(best) // 2 + 1]
    return min(middle, key=lambda weight: abs(weight - 0.5))


def fit_logistic(log_p_speech_NK: Tensor, log_p_text_NK: Tensor, labels_N: Tensor) -> Logistic:
    """Fit a logistic regression with a penalty on its matrix, classes counting alike however often they occur."""
    joint_NJ = torch.cat([log_p_speech_NK, log_p_text_NK], dim=1).detach().double()
    num_classes = log_p_speech_NK.shape[1]
    counts_K = torch.bincount(labels_N, minlength=num_classes).clamp(min=1)
    class_weight_K = len(labels_N) / (num_classes * counts_K.double())
    matrix = torch.zeros(joint_NJ.shape[1], num_classes, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(num_classes, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([matrix, bias], max_iter=MAX_STEPS, line_search_fn="strong_wolfe")

    def cost() -> Tensor:
        optimiser.zero_grad()
        fit = functional.cross_entropy(joint_NJ @ matrix + bias, labels_N, weight=class_weight_K, reduction="sum")
        total = (fit + PENALTY * matrix.square().sum() / 2) / len(labels_N)
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(cost)  # type: ignore[no-untyped-call]
    return Logistic(matrix.detach(), bias.detach())


def report(validation: Scores, test: Scores) -> FusionReport:
    """Choose on validation utterances, measure on test utterances; the mean needs no choice."""
    chosen = validation.log_p_speech, validation.log_p_text, validation.labels
    weight, logistic = fit_weight(*chosen), fit_logistic(*chosen)
    pair = test.log_p_speech, test.log_p_text
    return FusionReport(
        weight=weight,
        weighted=_accuracy(weighted_sum(*pair, weight), test.labels),
        mean=_accuracy(weighted_sum(*pair, 0.5), test.labels),
        logistic=_accuracy(logistic(*pair), test.labels),
        speech=_accuracy(test.log_p_speech, test.labels),
        text=_accuracy(test.log_p_text, test.labels),
    )


def _accuracy(scores_NK: Tensor, labels_N: Tensor) -> float:
    return unweighted_accuracy(labels_N.cpu().numpy(), scores_NK.argmax(dim=1).cpu().numpy())
