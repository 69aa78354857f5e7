"""From predictions to an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmer_ray.errors import UsageError
from mmer_ray.training.evaluation.comparison import OtherSystem
from mmer_ray.training.evaluation.evaluate import Conditions, evaluate
from mmer_ray.training.evaluation.result import Evaluation, TextCondition
from mmer_ray.training.predictions import Predictions
from mmer_ray.training.utterances import Corpus, Split, Utterance
from tests.training.evaluation.makers import LABELS, predicted, random_predictions, utterance

CORPUS = Corpus("made", (), LABELS, "d1")


def in_folds(predictions: Predictions, num_folds: int = 2) -> list[Predictions]:
    """Deal the speakers of predictions to folds."""
    speakers = sorted({one.speaker for one in predictions.utterances})
    folds = []
    for number in range(num_folds):
        kept = [
            row for row, one in enumerate(predictions.utterances) if speakers.index(one.speaker) % num_folds == number
        ]
        folds.append(
            replace(
                predictions,
                utterances=tuple(predictions.utterances[row] for row in kept),
                logits=predictions.logits[kept],
                fold=f"fold {number + 1}",
            )
        )
    return folds


def elsewhere(predictions: Sequence[Predictions]) -> list[Predictions]:
    """The same answers to other utterances: development predictions of the same folds."""
    return [
        replace(
            one, utterances=tuple(replace(each, utterance_id=f"dev-{each.utterance_id}") for each in one.utterances)
        )
        for one in predictions
    ]


def test_folds_are_pooled_and_averaged_and_seeds_are_averaged() -> None:
    # Fold 1: 4 utterances, 3 right. Fold 2: 2 utterances, 1 right; under seed 1 both.
    first = predicted(["angry"] * 4, ["angry"] * 3 + ["sad"], ["A"] * 4, fold="fold 1")
    truth = tuple(utterance(index + 4, "sad", "B") for index in range(2))
    second = replace(predicted(["sad"] * 2, ["sad", "angry"], fold="fold 2"), utterances=truth)
    better = replace(predicted(["sad"] * 2, ["sad", "sad"], fold="fold 2"), utterances=truth, seed=1)
    found = evaluate([first, second, replace(first, seed=1), better], "s", CORPUS)
    wa = found.metrics["wa"]
    assert wa.value == pytest.approx((4 / 6 + 5 / 6) / 2)
    assert wa.seed_sd == pytest.approx(np.std([4 / 6, 5 / 6], ddof=1))
    assert wa.fold_mean == pytest.approx((3 / 4 + 3 / 4) / 2)
    assert wa.fold_sd == pytest.approx(0.0)
    assert found.metrics["ua"].value == pytest.approx(np.mean([(0.75 + 0.5) / 2, (0.75 + 1) / 2]))
    assert [(one.fold, one.seed, one.metrics["wa"]) for one in found.folds] == [
        *(("fold 1", 0, 0.75), ("fold 2", 0, 0.5)),
        *(("fold 1", 1, 0.75), ("fold 2", 1, 1.0)),
    ]
    assert (found.seeds, found.num_utterances, found.num_speakers) == ((0, 1), 6, 2)
    # Both seeds' answers: 8 of "angry", 4 of "sad".
    assert [sum(row) for row in found.confusion] == [8, 0, 0, 4]
    assert "happy" not in found.recall


def test_an_evaluation_of_predictions_survives_its_file() -> None:
    folds = in_folds(random_predictions(4, 30))
    found = evaluate(folds, "s", CORPUS, development=elsewhere(folds), others={"same": OtherSystem(folds)})
    assert Evaluation.from_json(found.to_json()) == found


def test_temperatures_come_from_development_data_and_mend_overconfidence() -> None:
    folds = in_folds(random_predictions(40, 40, sharpness=4.0))
    found = evaluate(folds, "s", CORPUS, development=elsewhere(folds)).calibration
    assert found is not None
    assert found.verdict == "calibrated"
    assert found.ece_after is not None
    assert found.ece_after < 0.05 < found.ece_before
    assert found.temperature == pytest.approx(4.0, rel=0.2)
    assert set(found.temperatures) == {"fold 1, seed 0", "fold 2, seed 0"}
    assert sum(one.num_answers for one in found.bins) == 1600
    # Without development data nothing is fitted, and that is said.
    without = evaluate(folds, "s", CORPUS).calibration
    assert without is not None
    assert (without.verdict, without.ece_after, without.temperature) == ("not fitted", None, None)


def test_few_utterances_have_no_verdict_on_calibration() -> None:
    folds = in_folds(random_predictions(4, 20))
    found = evaluate(folds, "s", CORPUS, development=elsewhere(folds)).calibration
    assert found is not None
    assert found.verdict == "too few"
    # What chance alone makes of 80 answers is more than the limit.
    assert found.ece_if_perfect > found.limit


def test_a_temperature_that_was_fitted_before_is_judged_as_it_is() -> None:
    found = evaluate([random_predictions(40, 40)], "s", CORPUS, Conditions(is_calibrated=True)).calibration
    assert found is not None
    assert found.verdict == "calibrated"
    assert found.ece_after == found.ece_before


def test_development_data_must_be_of_every_fold_and_of_other_utterances() -> None:
    folds = in_folds(random_predictions(4, 10))
    with pytest.raises(UsageError, match="'fold 2', seed 0 has no development"):
        evaluate(folds, "s", CORPUS, development=elsewhere(folds[:1]))
    with pytest.raises(UsageError, match="both development and test"):
        evaluate(folds, "s", CORPUS, development=folds)


def test_groups_are_those_that_the_corpus_tells_apart() -> None:
    def told(index: int) -> Utterance:
        return utterance(
            index,
            speaker="AB"[index % 2],
            sex="female" if index % 2 else "male",
            style="scripted",
            text=(
                "oh no [LAUGHTER] (he laughs again)",
                "I have told you so many times before",
                "nobody ever said a word of it",
            )[index % 3],
        )

    test = tuple(told(index) for index in range(12))
    texts = ("OH, no!", "I have told you so very many times before")
    heard = tuple(utterance(100 + index, speaker="C", text=text) for index, text in enumerate(texts))
    split = Split("fold 1", heard, (), test)
    folds = [Predictions(test, LABELS, np.eye(4, dtype=np.float32)[[0, 1, 0] * 4], fold="fold 1")]
    found = evaluate(folds, "s", CORPUS, splits=[split])
    told_apart = {(group.by, group.name): (group.num_utterances, group.metrics["wa"].value) for group in found.groups}
    assert told_apart == {
        ("sex", "female"): (6, pytest.approx(4 / 6)),
        ("sex", "male"): (6, pytest.approx(4 / 6)),
        ("length", "under 5 words"): (4, 1.0),
        ("length", "5 words or more"): (8, 0.5),
        ("transcript", "seen in training"): (4, 1.0),
        ("transcript", "nearly equal to one seen"): (4, 0.0),
        ("transcript", "not seen in training"): (4, 1.0),
    }


def test_another_system_is_compared_on_the_same_utterances() -> None:
    better, worse = random_predictions(20, 30, skill=0.8), random_predictions(20, 30, skill=0.45)
    found = evaluate([better], "ours", CORPUS, others={"theirs": OtherSystem([worse], note="older")})
    (theirs,) = found.compared
    gain = theirs.differences["ua"]
    assert gain.value == pytest.approx(found.metrics["ua"].value - theirs.metrics["ua"].value)
    assert gain.low is not None
    assert gain.low > 0
    assert gain.p is not None
    assert gain.p < 0.01
    (mcnemar,) = theirs.mcnemar
    assert mcnemar.num_ours_only > mcnemar.num_theirs_only
    assert mcnemar.p < 1e-6
    assert theirs.note == "older"


def test_systems_of_other_utterances_or_labels_are_refused_by_name() -> None:
    folds = [random_predictions(2, 10)]
    with pytest.raises(UsageError, match="ours and theirs were tested on different utterances"):
        evaluate(folds, "ours", CORPUS, others={"theirs": OtherSystem([random_predictions(2, 9)])})
    with_fear = [replace(folds[0], labels=(*LABELS, "fear"), logits=np.pad(folds[0].logits, ((0, 0), (0, 1))))]
    with pytest.raises(UsageError, match="theirs with angry, happy, neutral, sad, fear"):
        evaluate(folds, "ours", CORPUS, others={"theirs": OtherSystem(with_fear)})


def test_a_system_whose_classes_are_in_another_order_is_compared_by_their_names() -> None:
    (fold,) = in_folds(random_predictions(4, 20), 1)
    turned = replace(fold, labels=LABELS[::-1], logits=fold.logits[:, ::-1])
    (theirs,) = evaluate([fold], "ours", CORPUS, others={"theirs": OtherSystem([turned], elsewhere([turned]))}).compared

    assert theirs.differences["ua"].value == 0
    assert (theirs.mcnemar[0].num_ours_only, theirs.mcnemar[0].num_theirs_only) == (0, 0)


def test_what_cannot_be_evaluated_is_refused_by_name() -> None:
    one = predicted(["angry"], ["angry"])
    with pytest.raises(UsageError, match="u0 is tested twice"):
        evaluate([one, replace(one, fold="fold 2")], "s", CORPUS)
    fear = replace(one, utterances=(utterance(0, "fear", read_from="labels.csv:7"),))
    with pytest.raises(UsageError, match=r"u0 \(labels\.csv:7\) is labelled 'fear'"):
        evaluate([fear], "s", CORPUS)
    with pytest.raises(UsageError, match="such as those of u0"):
        evaluate([replace(one, logits=np.full((1, 4), np.nan, np.float32))], "s", CORPUS)
    with pytest.raises(UsageError, match="nothing to evaluate"):
        evaluate([], "s", CORPUS)
    with pytest.raises(UsageError, match="seed 0 and seed 1 were tested on different utterances"):
        evaluate([one, replace(one, utterances=(utterance(5),), seed=1)], "s", CORPUS)


def test_the_conditions_are_stamped() -> None:
    text = TextCondition("asr", "whisper base", 0.2)
    conditions = Conditions("loso", text, oracle=True, num_left_out={"no label": 2}, notes=("a note",))
    found = evaluate([random_predictions(3, 5)], "s", CORPUS, conditions)
    assert (found.protocol, found.text, found.oracle, found.num_left_out) == ("loso", text, True, {"no label": 2})
    assert any("ORACLE" in note for note in found.notes)
    assert any("3 speakers: intervals of fewer than 20" in note for note in found.notes)
    assert "a note" in found.notes
    assert (found.corpus, found.corpus_digest, found.num_clusters) == ("made", "d1", 3)


def test_the_same_seed_gives_the_same_figures(tmp_path: Path) -> None:
    folds = in_folds(random_predictions(5, 10))
    assert evaluate(folds, "s", CORPUS) == evaluate(folds, "s", CORPUS)
    other = evaluate(folds, "s", CORPUS, Conditions(seed=1))
    assert other.metrics["ua"].value == evaluate(folds, "s", CORPUS).metrics["ua"].value
