"""Systems that every other must beat."""

from __future__ import annotations

import numpy as np
import pytest

from mmer_ray.errors import UsageError
from mmer_ray.records import Clip
from mmer_ray.training.evaluation import baselines
from mmer_ray.training.evaluation.acoustic_statistics import NUM_CEPSTRA, statistics_of
from mmer_ray.training.evaluation.comparison import OtherSystem
from mmer_ray.training.evaluation.evaluate import evaluate
from mmer_ray.training.utterances import Corpus, Split, Utterance
from tests.training.evaluation.makers import utterance

LABELS = ("angry", "sad")
CORPUS = Corpus("made", (), LABELS, "")


def tone(one: Utterance) -> Clip:
    """Who is angry is loud in bursts and high, who is sad is even and low."""
    rng = np.random.default_rng(int(one.utterance_id[1:]))
    time_s = np.arange(8000) / 16_000
    hz = (260 if one.label == "angry" else 120) * rng.uniform(0.9, 1.1)
    level = 0.5 + 0.5 * np.sin(2 * np.pi * 4 * time_s) if one.label == "angry" else 0.5
    return Clip((0.3 * level * np.sin(2 * np.pi * hz * time_s) + rng.normal(0, 0.01, 8000)).astype(np.float32), "")


def spoken(speaker: str, first: int, num: int = 8) -> tuple[Utterance, ...]:
    """Angry ones say "stop it now", sad ones "she has gone away", with a word of their own, or nothing at all."""
    found = []
    for index in range(first, first + num):
        label = LABELS[index % 2]
        words = "stop it now" if label == "angry" else "she has gone away"
        found.append(utterance(index, label, speaker, text=f"{words} word{index}" if index % 4 else ""))
    return tuple(found)


@pytest.fixture
def splits() -> list[Split]:
    parts = {name: spoken(name, 100 * index) for index, name in enumerate("ABC")}
    return [Split(f"fold {one}", parts[two] + parts[one], parts[three][:0], parts[three]) for one, two, three in
            ("ABC", "BCA", "CAB")]  # fmt: skip


def ua_of(system: OtherSystem) -> float:
    return evaluate(system.predictions, "baseline", CORPUS, development=system.development).metrics["ua"].value


def test_the_majority_is_right_about_one_class_alone(splits: list[Split]) -> None:
    assert ua_of(baselines.majority(splits, LABELS)) == 0.5


def test_words_that_part_the_classes_are_found(splits: list[Split]) -> None:
    found = baselines.words_alone(splits, LABELS)
    # Every fourth utterance, half of the angry ones, has no words.
    assert ua_of(found) >= 0.75
    assert {one.fold for one in found.predictions} == {"fold A", "fold B", "fold C"}


def test_the_look_up_knows_sentences_of_training_and_nothing_else(splits: list[Split]) -> None:
    # Every sentence has a word of its own: nothing but the silent ones, all angry, was heard before.
    assert ua_of(baselines.transcript_look_up(splits, LABELS)) == pytest.approx(0.5)
    said = tuple(
        utterance(index, LABELS[index % 2], "AB"[index // 4], text=("no", "yes")[index % 2]) for index in range(8)
    )
    repeated = [Split("fold 1", said[:4], (), said[4:])]
    assert ua_of(baselines.transcript_look_up(repeated, LABELS)) == 1.0


def test_acoustics_that_part_the_classes_are_found(splits: list[Split]) -> None:
    assert ua_of(baselines.acoustic_statistics(splits, LABELS, tone)) >= 0.95


def test_a_probe_reads_the_vectors_of_its_encoder_once_for_all_folds(splits: list[Split]) -> None:
    asked: list[Clip] = []

    def describe(clip: Clip) -> np.ndarray:
        asked.append(clip)
        return np.array([float(np.abs(clip.samples).mean()), float(len(clip.samples))])

    found = baselines.encoder_probe(splits, LABELS, tone, describe, "a made encoder")
    assert len(asked) == 24
    assert "a made encoder" in found.note
    assert ua_of(found) >= 0.75


class Fixed:
    """With strength 0.1 right about utterances below 100 and wrong about all others, with 10 the other way round; with
    any other strength everybody is angry."""

    classes_ = LABELS

    def __init__(self, strength: float) -> None:
        self.strength = strength

    def fit(self, seen: np.ndarray, truth: list[str]) -> Fixed:
        return self

    def predict(self, seen: np.ndarray) -> list[str]:
        is_sad = seen % 2 == (seen >= 100 if self.strength == 0.1 else seen < 100)
        known = self.strength in (0.1, 10.0)
        return [LABELS[int(known and not sad)] for sad in is_sad]

    def predict_proba(self, seen: np.ndarray) -> np.ndarray:
        return np.array([[0.9, 0.1] if label == "angry" else [0.1, 0.9] for label in self.predict(seen)])


def test_the_development_part_chooses_how_strong_a_classifier_is(splits: list[Split]) -> None:
    one = splits[0]
    chosen = [Split(one.name, one.train[:8], one.train[8:], one.test)]
    assert {int(told.utterance_id[1:]) < 100 for told in chosen[0].development} == {True}
    found = baselines._of_classifiers(
        chosen, LABELS, Fixed, lambda some: np.array([int(told.utterance_id[1:]) for told in some]), ""
    )
    assert ua_of(OtherSystem(found.development, ())) == 1.0
    # By the test part, strength 10 would have been chosen and be always right.
    assert ua_of(found) == 0.0


def test_a_corpus_without_words_has_no_baseline_of_words(splits: list[Split]) -> None:
    mute = [Split("f", tuple(utterance(index, text=None) for index in range(4)), (), splits[0].test)]
    with pytest.raises(UsageError, match="no transcripts"):
        baselines.words_alone(mute, LABELS)
    with pytest.raises(UsageError, match="no transcripts"):
        baselines.transcript_look_up(mute, LABELS)


def test_a_class_that_training_lacks_is_never_answered(splits: list[Split]) -> None:
    found = baselines.majority(splits, (*LABELS, "happy"))
    assert all(np.isfinite(one.logits).all() and (one.logits.argmax(axis=1) < 2).all() for one in found.predictions)


def test_statistics_hear_pitch_and_do_not_hear_the_recording_level() -> None:
    time_s = np.arange(16_000) / 16_000
    low, high = (np.sin(2 * np.pi * hz * time_s).astype(np.float32) for hz in (100, 200))
    pitch = NUM_CEPSTRA + 1
    assert statistics_of(high)[pitch] - statistics_of(low)[pitch] == pytest.approx(12, abs=0.3)
    np.testing.assert_allclose(statistics_of(0.25 * high), statistics_of(high), atol=0.05)
    assert np.isfinite(statistics_of(np.zeros(100, np.float32))).all()
