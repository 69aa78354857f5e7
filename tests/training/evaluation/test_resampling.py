"""Intervals over clusters."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mmer_ray.errors import UsageError
from mmer_ray.training.evaluation.answers import Answers, answers_by_seed
from mmer_ray.training.evaluation.measures import summands
from mmer_ray.training.evaluation.resampling import difference, draw_clusters, interval, resampled, resampled_recalls
from mmer_ray.training.predictions import Predictions
from tests.training.evaluation.makers import predicted, random_predictions


def answers_of(predictions: Predictions) -> Answers:
    (answers,) = answers_by_seed([predictions])
    return answers


def test_intervals_are_those_of_scipy_over_whole_speakers() -> None:
    answers = answers_of(random_predictions(30, 12))
    speakers = np.array([one.speaker for one in answers.utterances])
    rights = answers.guesses == answers.truth
    by_speaker = np.array([rights[speakers == name].sum() for name in np.unique(speakers)])
    expected = stats.bootstrap(
        (by_speaker,), lambda drawn, axis: drawn.mean(axis) / 12, n_resamples=4000, method="percentile", rng=1
    ).confidence_interval
    clusters = draw_clusters(answers.utterances, "speaker", 4000, 0)
    low, high = interval(resampled([summands(answers)], clusters)["wa"])
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.01)
    assert resampled_recalls([summands(answers)], clusters).shape == (4000, 4)


def test_utterances_of_one_speaker_stay_together() -> None:
    """Half of the speakers are always right, half never: drawn one by one, utterances would hide that."""
    speakers = [f"S{number}" for number in range(10) for _ in range(50)]
    guesses = ["angry" if int(name[1]) % 2 else "sad" for name in speakers]
    answers = answers_of(predicted(["angry"] * 500, guesses, speakers))
    low, high = interval(resampled([summands(answers)], draw_clusters(answers.utterances, "speaker", 2000, 0))["wa"])
    assert low is not None
    assert high is not None
    assert high - low > 0.5


@pytest.mark.slow
@pytest.mark.parametrize(("num_speakers", "covered"), [(10, (0.85, 0.95)), (40, (0.90, 0.98))])
def test_the_interval_holds_the_truth_as_often_as_it_says(num_speakers: int, covered: tuple[float, float]) -> None:
    """Speakers differ in how well they are understood, as `random_predictions` has it: 0.7016 is its accuracy on 4,000
    of them. With few speakers the interval is too narrow, which `MIN_CLUSTERS` warns of."""
    hits = 0
    for seed in range(200):
        answers = answers_of(random_predictions(num_speakers, 25, seed=seed))
        clusters = draw_clusters(answers.utterances, "speaker", 500, seed)
        low, high = interval(resampled([summands(answers)], clusters)["wa"])
        assert low is not None
        assert high is not None
        hits += low <= 0.7016 <= high
    assert covered[0] <= hits / 200 <= covered[1]


def test_one_speaker_has_no_interval() -> None:
    answers = answers_of(random_predictions(1, 10))
    clusters = draw_clusters(answers.utterances, "speaker", 100, 0)
    assert clusters.num == 1
    assert interval(resampled([summands(answers)], clusters)["ua"]) == (None, None)


def test_dialogues_are_resampled_only_where_they_are_named() -> None:
    answers = answers_of(random_predictions(2, 3))
    with pytest.raises(UsageError, match="names no dialogue"):
        draw_clusters(answers.utterances, "dialogue", 100, 0)


def test_a_difference_is_paired_and_its_p_never_zero() -> None:
    drawn = np.random.default_rng(0).normal(0.5, 0.1, 999)
    same_gain = difference(0.02, drawn, drawn - 0.02)
    assert (same_gain.low, same_gain.high) == pytest.approx((0.02, 0.02))
    assert same_gain.p == pytest.approx(2 / 1000)
    nothing = difference(0.0, drawn, drawn)
    assert nothing.p == 1.0
