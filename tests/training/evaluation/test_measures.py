"""Every measure against a library's, or by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon
from sklearn import metrics

from mmer_ray.training.evaluation.answers import Answers, answers_by_seed
from mmer_ray.training.evaluation.measures import confusion_of, measures, pooled, recalls, summands
from mmer_ray.training.predictions import Predictions
from tests.training.evaluation.makers import LABELS, predicted, random_predictions, utterance


def values(answers: Answers) -> dict[str, float]:
    return pooled([summands(answers)])


def answers_of(predictions: Predictions) -> Answers:
    (answers,) = answers_by_seed([predictions])
    return answers


def with_dimensions(truths: np.ndarray, guesses: np.ndarray) -> Predictions:
    told = tuple(utterance(index, dimensions=tuple(row)) for index, row in enumerate(truths))
    return Predictions(told, LABELS, np.zeros((len(told), 4), np.float32), guesses.astype(np.float32))


def test_measures_of_classes_are_those_of_scikit_learn() -> None:
    answers = answers_of(random_predictions(5, 40, skill=0.5))
    found, truth, guess = values(answers), answers.truth, answers.guesses
    assert found["wa"] == pytest.approx(metrics.accuracy_score(truth, guess))
    assert found["ua"] == pytest.approx(metrics.balanced_accuracy_score(truth, guess))
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(truth, guess, average="macro"))
    assert found["nll"] == pytest.approx(metrics.log_loss(truth, answers.probabilities, labels=range(4)))
    assert found["brier"] == pytest.approx(np.square(np.eye(4)[truth] - answers.probabilities).sum(axis=1).mean())
    sums = summands(answers).values.sum(axis=0)
    np.testing.assert_array_equal(confusion_of(sums, 4), metrics.confusion_matrix(truth, guess))
    np.testing.assert_allclose(recalls(sums, 4), metrics.recall_score(truth, guess, average=None))


def test_a_class_that_the_truth_lacks_does_not_count() -> None:
    answers = answers_of(predicted(["angry", "angry", "sad"], ["angry", "happy", "sad"]))
    found = values(answers)
    assert found["ua"] == pytest.approx((0.5 + 1) / 2)
    present = [LABELS.index("angry"), LABELS.index("sad")]
    expected = metrics.f1_score(answers.truth, answers.guesses, labels=present, average="macro")
    assert found["macro_f1"] == pytest.approx(expected)
    assert np.isnan(recalls(summands(answers).values.sum(axis=0), 4)[LABELS.index("happy")])


def test_ece_weighs_the_gap_of_each_bin_by_its_answers() -> None:
    sure = predicted(["angry"] * 4, ["angry"] * 4, confidence=0.9)
    unsure = predicted(["angry"] * 4, ["angry", "sad", "sad", "sad"], confidence=0.6)
    both = replace(sure, utterances=tuple(utterance(index) for index in range(8)))
    both = replace(both, logits=np.concatenate([sure.logits, unsure.logits]))
    # A bin that is right always at 0.9, and one that is right once in four at 0.6.
    assert values(answers_of(both))["ece"] == pytest.approx((abs(1 - 0.9) * 4 + abs(0.25 - 0.6) * 4) / 8, abs=1e-6)


def test_ccc_and_its_like_are_over_all_utterances_and_leave_unknown_truths_out() -> None:
    rng = np.random.default_rng(0)
    truths = rng.uniform(-1, 1, (50, 3))
    guesses = 0.5 * truths + 0.2 + rng.normal(0, 0.1, truths.shape)
    truths[:10, 2] = math.nan
    found = values(answers_of(with_dimensions(truths, guesses)))
    guesses = guesses.astype(np.float32).astype(float)
    for index, name, kept in ((0, "valence", slice(None)), (2, "dominance", slice(10, None))):
        x, y = truths[kept, index], guesses[kept, index]
        # Lin 1989, equation 1.
        ccc = 2 * np.cov(x, y, bias=True)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
        assert found[f"ccc_{name}"] == pytest.approx(ccc)
        assert found[f"pearson_{name}"] == pytest.approx(stats.pearsonr(x, y).statistic)
        assert found[f"mae_{name}"] == pytest.approx(metrics.mean_absolute_error(x, y))
    # A constant answer agrees with nothing.
    constant = values(answers_of(with_dimensions(truths, np.full_like(truths, 0.3))))
    assert constant["ccc_valence"] == pytest.approx(0.0, abs=1e-9)


def test_soft_labels_are_measured_by_the_divergences_of_scipy() -> None:
    shares = [{"angry": 0.75, "sad": 0.25}, {"neutral": 1.0}, None]
    told = tuple(utterance(index, shares=share) for index, share in enumerate(shares))
    logits = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    answers = answers_of(Predictions(told, LABELS, logits))
    truths = np.array([[0.75, 0, 0, 0.25], [0, 0, 1.0, 0]])
    given = answers.probabilities[:2]
    found = values(answers)
    distances = [jensenshannon(*pair, base=2) ** 2 for pair in zip(truths, given, strict=True)]
    assert found["jsd"] == pytest.approx(np.mean(distances))
    assert found["kld"] == pytest.approx(np.mean([stats.entropy(*pair) for pair in zip(truths, given, strict=True)]))


def test_votes_for_classes_that_the_model_lacks_are_left_out() -> None:
    told = (utterance(0, shares={"angry": 0.3, "fear": 0.7}), utterance(1, shares={"fear": 1.0}))
    answers = answers_of(Predictions(told, LABELS, np.zeros((2, 4), np.float32)))
    np.testing.assert_allclose(answers.shares[0], [1, 0, 0, 0])
    assert values(answers)["kld"] == pytest.approx(math.log(4))


def test_what_has_no_truth_is_no_figure() -> None:
    told = (utterance(0, label=None),)
    assert values(answers_of(Predictions(told, LABELS, np.zeros((1, 4), np.float32)))) == {}


def test_measures_of_many_sums_at_once_are_those_of_each() -> None:
    answers = answers_of(random_predictions(4, 20))
    sums = np.stack([summands(answers).values[rows].sum(axis=0) for rows in (slice(0, 40), slice(40, None))])
    together = measures(sums, 4)
    for index, one in enumerate(sums):
        alone = measures(one, 4)
        for name, value in together.items():
            np.testing.assert_allclose(value[index], alone[name])
